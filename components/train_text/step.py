"""Learn to tell a product's category from its words."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from product_classifier.bundles import bundle
from product_classifier.evaluation.metrics import weighted_f1
from product_classifier.releases import self_check
from product_classifier.taxonomy import CHALLENGE, CODES, index_of
from product_classifier.text.features import TextFeatures
from product_classifier.text.model import TextModel
from product_classifier.text.normalization import normalize, strip_markup


def run(
    train: Path,
    validation: Path,
    model: Path,
    buckets: int = 2**18,
    penalty: float = 1.0,
    encoder: str = "",
    epochs: int = 3,
    budget_s: float = 600.0,
    learning_rate: float = 3e-5,
    seed: int = 27,
) -> float:
    """Write the sealed bundle `model`; return its weighted F1 on the validation products that have words.

    Args:
        train: What to learn from (parquet).
        validation: What to calibrate on (parquet).
        model: Folder of the bundle.
        buckets: Size of the hashed vocabulary, a power of two.
        penalty: How hard a wrong training text is punished: C of the support vector machine.
        encoder: Name or folder of a pretrained encoder such as camembert-base; empty for the linear model.
        epochs: How often an encoder sees each text, if the budget allows.
        budget_s: Seconds an encoder may be trained for.
        learning_rate: Of an encoder, at its highest.
        seed: Of everything random.
    """
    prepare = strip_markup if encoder else normalize
    texts, labels = read_texts(train, prepare)
    held_out, held_labels = read_texts(validation, prepare)
    model.mkdir(parents=True, exist_ok=True)
    learnt: TextModel
    if encoder:
        from components.train_text.encoder import fit_encoder

        limits: Any = {"epochs": epochs, "budget_s": budget_s, "rate": learning_rate, "seed": seed}
        learnt = fit_encoder(encoder, (texts, labels), (held_out, held_labels), model, **limits)
    else:
        from components.train_text.linear import calibrate, fit

        learnt = calibrate(fit(texts, labels, TextFeatures(buckets), penalty, seed), held_out, held_labels)
    learnt.save(model)
    bundle.write_manifest(model, "text", None, self_check.record_text(learnt, CHALLENGE), learnt.codes)
    if not held_out:
        return 0.0
    return weighted_f1(learnt.classify(held_out), held_labels)


def read_texts(split: Path, prepare: Callable[[str, str], str] = normalize) -> tuple[list[str], NDArray[np.int64]]:
    """Return the prepared texts and label positions of the products that have words and a code."""
    products = pd.read_parquet(split, columns=["designation", "description", "code"])
    products = products[products["code"].isin(CODES)]
    texts = [prepare(*text) for text in zip(products["designation"], products["description"], strict=True)]
    labels = [index_of(code) for code in products["code"]]
    rows = [row for row, text in enumerate(texts) if text]
    return [texts[row] for row in rows], np.array([labels[row] for row in rows], np.int64)
