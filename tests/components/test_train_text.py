from pathlib import Path

import numpy as np

from components.train_text import step
from product_classifier.evaluation.metrics import weighted_f1
from product_classifier.releases.release import load_text


def test_the_bundle_answers_as_the_step_scored_it(splits_dir: Path, tmp_path: Path) -> None:
    scored = step.run(splits_dir / "train.parquet", splits_dir / "validation.parquet", tmp_path, buckets=2**13)

    model, _ = load_text(tmp_path)
    texts, labels = step.read_texts(splits_dir / "validation.parquet")

    assert scored == weighted_f1(model.classify(texts), labels)
    assert scored > 0.8


def test_products_without_words_are_not_learnt_from(splits_dir: Path) -> None:
    texts, labels = step.read_texts(splits_dir / "train.parquet")

    assert len(texts) == len(labels) > 0
    assert all(texts)


def test_equal_seeds_give_equal_models(splits_dir: Path, tmp_path: Path) -> None:
    answers = []
    for folder in (tmp_path / "once", tmp_path / "again"):
        step.run(splits_dir / "train.parquet", splits_dir / "validation.parquet", folder, buckets=2**13)
        answers.append(load_text(folder)[0].probabilities(["chaise de jardin", ""], ["", ""]))

    np.testing.assert_allclose(*answers, atol=1e-6)
