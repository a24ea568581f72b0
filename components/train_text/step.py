"""Learn to tell a product's category from its words."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from product_classifier import bundle, self_test
from product_classifier.categories import CODES, index_of
from product_classifier.metrics import weighted_f1
from product_classifier.text import TextFeatures, normalise


def run(
    train: Path,
    validation: Path,
    model: Path,
    buckets: int = 2**18,
    penalty: float = 1.0,
    seed: int = 27,
) -> float:
    """Write the sealed bundle `model`; return its weighted F1 on the validation products that have words.

    Args:
        train: What to learn from (parquet).
        validation: What to calibrate on (parquet).
        model: Folder of the bundle.
        buckets: Size of the hashed vocabulary, a power of two.
        penalty: How hard a wrong training text is punished: C of the support vector machine.
        seed: Of everything random.
    """
    from components.train_text.linear import calibrate, fit

    texts, labels = read_texts(train)
    held_out, held_labels = read_texts(validation)
    learnt = calibrate(fit(texts, labels, TextFeatures(buckets), penalty, seed), held_out, held_labels)
    model.mkdir(parents=True, exist_ok=True)
    learnt.save(model)
    bundle.seal(model, "text", None, self_test.make_text(learnt))
    if not held_out:
        return 0.0
    return weighted_f1(learnt.classify(held_out), held_labels)


def read_texts(split: Path) -> tuple[list[str], NDArray[np.int64]]:
    """Return the normalised texts and label positions of the products that have words and a code."""
    products = pd.read_parquet(split, columns=["designation", "description", "code"])
    products = products[products["code"].isin(CODES)]
    texts = [normalise(*text) for text in zip(products["designation"], products["description"], strict=True)]
    labels = [index_of(code) for code in products["code"]]
    rows = [row for row, text in enumerate(texts) if text]
    return [texts[row] for row in rows], np.array([labels[row] for row in rows], np.int64)
