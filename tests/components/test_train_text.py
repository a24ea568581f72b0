from pathlib import Path

import numpy as np

from components.train_text import step
from product_classifier.evaluation.scores import weighted_f1
from product_classifier.releases.release import load_text
from product_classifier.taxonomy import CHALLENGE


def train(splits: Path, folder: Path) -> float:
    return step.run(splits / "train.parquet", splits / "validation.parquet", folder, CHALLENGE, buckets=2**13)


def test_the_score_of_the_step_is_that_of_the_bundle(splits_dir: Path, tmp_path: Path) -> None:
    scored = train(splits_dir, tmp_path)

    model, _ = load_text(tmp_path)
    texts, labels = step.read_texts(splits_dir / "validation.parquet", model.codes)

    assert scored == weighted_f1(model.classify(texts), labels)
    assert scored > 0.8


def test_products_without_text_are_not_trained_on(splits_dir: Path) -> None:
    texts, labels = step.read_texts(splits_dir / "train.parquet", CHALLENGE.codes)

    assert len(texts) == len(labels) > 0
    assert all(texts)


def test_equal_seeds_give_equal_models(splits_dir: Path, tmp_path: Path) -> None:
    found = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        train(splits_dir, folder)
        found.append(load_text(folder)[0].probabilities(["chaise de jardin", ""], ["", ""]))

    np.testing.assert_allclose(*found, atol=1e-6)
