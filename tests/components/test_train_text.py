from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.shared.out_of_fold import read_out_of_fold
from components.train_text import step
from components.train_text.linear_training import fit, fit_and_cross_predict
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.evaluation.scores import weighted_f1
from product_classifier.releases.release import load_text
from product_classifier.text.features import TextFeatures


def train(splits: Path, folder: Path) -> float:
    outputs = folder, folder.with_suffix(".parquet")
    return step.run(splits / "train.parquet", splits / "validation.parquet", *outputs, CHALLENGE, buckets=2**13)


def test_the_score_is_that_of_the_out_of_fold_predictions_of_all_texts(splits_dir: Path, tmp_path: Path) -> None:
    scored = train(splits_dir, tmp_path / "text")

    found = read_out_of_fold(tmp_path / "text.parquet")
    texts = step.read_texts(splits_dir / "train.parquet", splits_dir / "validation.parquet", found.codes)
    assert scored == weighted_f1(found.probabilities, texts.labels)
    assert texts.product_ids.tolist() == found.product_ids.tolist()
    assert scored > 0.8


def test_products_without_text_are_not_trained_on(splits_dir: Path) -> None:
    sides = [splits_dir / f"{side}.parquet" for side in ("train", "validation")]
    texts = step.read_texts(*sides, CHALLENGE.codes)

    assert len(texts.prepared) == len(texts.labels) == len(texts.folds) == len(texts.held_out)
    assert 0 < len(texts.prepared) < sum(len(pd.read_parquet(side)) for side in sides)
    assert all(texts.prepared)


def test_a_text_is_predicted_by_a_model_that_has_not_seen_its_words() -> None:
    words = ["".join(letters) for letters in np.random.default_rng(1).choice(list("abcdefghijklmnop"), (40, 9))]
    labels = np.arange(40) % 2

    model, probabilities = fit_and_cross_predict(
        words, labels, np.arange(40) // 8, CHALLENGE.codes[:2], TextFeatures(2**12), 1.0, 27
    )

    assert 1 == weighted_f1(model.margins(words), labels)
    assert weighted_f1(probabilities, labels) < 0.75  # the labels do not depend on the words


def test_the_margins_of_a_fold_are_those_of_the_model_trained_without_it(splits_dir: Path) -> None:
    sides = [splits_dir / f"{side}.parquet" for side in ("train", "validation")]
    texts, features = step.read_texts(*sides, CHALLENGE.codes), TextFeatures(2**13)
    held = texts.folds == 2
    kept = [text for text, out in zip(texts.prepared, held, strict=True) if not out]

    _, probabilities = fit_and_cross_predict(
        texts.prepared, texts.labels, np.where(held, 2, 0), CHALLENGE.codes, features, 1.0, 27
    )
    alone = fit(kept, texts.labels[~held], CHALLENGE.codes, features, 1.0, 27)
    margins = alone.margins([text for text, out in zip(texts.prepared, held, strict=True) if out])

    assert np.array_equal(margins.argmax(axis=1), probabilities[held].argmax(axis=1))


def test_equal_seeds_give_equal_models(splits_dir: Path, tmp_path: Path) -> None:
    found = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        train(splits_dir, folder)
        found.append(load_text(folder)[0].probabilities(["chaise de jardin", ""], ["", ""]))

    np.testing.assert_allclose(*found, atol=1e-6)


@pytest.mark.parametrize("rows", [0, 1])
def test_an_empty_validation_split_is_no_error(rows: int, splits_dir: Path, tmp_path: Path) -> None:
    validation = tmp_path / "validation.parquet"
    pd.read_parquet(splits_dir / "validation.parquet").head(rows).to_parquet(validation)

    outputs = tmp_path / "text", tmp_path / "out_of_fold.parquet"
    assert step.run(splits_dir / "train.parquet", validation, *outputs, CHALLENGE, buckets=2**13) > 0.5
