import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.fit_fusion import step
from components.shared.out_of_fold import OutOfFold, read_out_of_fold, write_out_of_fold
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import CatalogueError
from product_classifier.evaluation.scores import weighted_f1
from product_classifier.releases.release import load_fusion
from product_classifier.top_probabilities import TopProbabilities


@pytest.fixture
def inputs(splits_dir: Path) -> list[Path]:
    return [splits_dir / f"{name}.parquet" for name in ("train", "validation", "text_out_of_fold", "image_out_of_fold")]


def test_the_fusion_is_no_worse_than_either_model_with_the_other_as_fallback(
    inputs: list[Path], tmp_path: Path
) -> None:
    scored = step.run(*inputs, tmp_path, CHALLENGE)

    codes = load_fusion(tmp_path)[0].codes
    products = pd.concat([pd.read_parquet(path) for path in inputs[:2]]).set_index("product_id")["code"]
    text, image = (read_out_of_fold(path) for path in inputs[2:])
    identifiers = np.union1d(text.product_ids, image.product_ids)
    labels = np.array([codes.index(code) for code in products[identifiers]])
    for first, second in ((text, image), (image, text)):
        predicted, has_first = first.select(identifiers)
        predicted.put(~has_first, second.select(identifiers)[0][~has_first])
        assert scored >= weighted_f1(predicted, labels)


def test_the_curves_have_the_f1_of_each_model_on_each_fold(inputs: list[Path], tmp_path: Path) -> None:
    scored = step.run(*inputs, tmp_path / "fusion", CHALLENGE, curves=tmp_path / "folds.json")

    rows = json.loads((tmp_path / "folds.json").read_text())
    assert [0, 1, 2, 3, 4] == [row["step"] for row in rows]
    assert all({"step", "text", "image", "fusion"} == row.keys() for row in rows)
    assert scored == pytest.approx(np.mean([row["fusion"] for row in rows]), abs=0.05)


def test_predictions_of_other_categories_are_refused(inputs: list[Path], tmp_path: Path) -> None:
    found = read_out_of_fold(inputs[3])
    fewer = OutOfFold(found.product_ids, TopProbabilities.of(found.probabilities.dense()[:, :-1]), found.codes[:-1])
    write_out_of_fold(tmp_path / "fewer.parquet", fewer)

    with pytest.raises(CatalogueError, match="image_out_of_fold: has 26 categories, text_out_of_fold 27 others"):
        step.run(*inputs[:3], tmp_path / "fewer.parquet", tmp_path / "fusion", CHALLENGE)
