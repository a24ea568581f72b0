"""Train the text model."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from product_classifier.bundles import bundle
from product_classifier.evaluation.scores import weighted_f1
from product_classifier.releases import self_check
from product_classifier.taxonomy import Taxonomy
from product_classifier.text.features import TextFeatures
from product_classifier.text.model import TextModel
from product_classifier.text.normalization import normalize, strip_markup


def run(
    train: Path,
    validation: Path,
    model: Path,
    taxonomy: Taxonomy,
    buckets: int = 2**18,
    C: float = 1.0,  # noqa: N803 - scikit-learn's name
    encoder: str = "",
    epochs: int = 3,
    budget_s: float = 600.0,
    learning_rate: float = 3e-5,
    seed: int = 27,
) -> float:
    """Write the sealed bundle `model`; return its weighted F1 on validation products with text.

    Args:
        train: Products to train on (parquet).
        validation: Products to calibrate on (parquet).
        model: Folder of the bundle to write.
        taxonomy: Categories to predict.
        buckets: Size of the hashed vocabulary, a power of two.
        C: Inverse regularization strength of the linear support vector machines, as in scikit-learn.
        encoder: Name or folder of a pretrained encoder such as camembert-base; empty for the linear model.
        epochs: Passes of the encoder over the texts, if `budget_s` allows.
        budget_s: Seconds the training of an encoder may take.
        learning_rate: Initial learning rate of an encoder.
        seed: Seed of everything random.

    Raises:
        CatalogueError: If too few products to train on have text.
    """
    prepare = strip_markup if encoder else normalize
    codes = taxonomy.codes
    texts, labels = read_texts(train, codes, prepare)
    held_out, held_out_labels = read_texts(validation, codes, prepare)
    model.mkdir(parents=True, exist_ok=True)
    trained: TextModel
    if encoder:
        from components.train_text.encoder_training import Schedule, fit_encoder

        schedule = Schedule(epochs, budget_s, learning_rate, seed)
        trained = fit_encoder(encoder, (texts, labels), (held_out, held_out_labels), codes, model, schedule)
    else:
        from components.train_text.linear_training import calibrate, fit

        fitted = fit(texts, labels, codes, TextFeatures(buckets), C, seed)
        trained = calibrate(fitted, held_out, held_out_labels)
    trained.save(model)
    bundle.write_manifest(model, "text", None, self_check.record_text(trained, taxonomy), trained.codes)
    if not held_out:
        return 0.0
    return weighted_f1(trained.classify(held_out), held_out_labels)


def read_texts(
    split: Path, codes: Sequence[int], prepare: Callable[[str, str], str] = normalize
) -> tuple[list[str], NDArray[np.int64]]:
    """Return the prepared texts and the label columns of the products with text and a category of `codes`."""
    products = pd.read_parquet(split, columns=["designation", "description", "code"])
    products = products[products["code"].isin(codes)]
    texts = [prepare(*text) for text in zip(products["designation"], products["description"], strict=True)]
    positions = {code: position for position, code in enumerate(codes)}
    labels = [positions[code] for code in products["code"]]
    rows = [row for row, text in enumerate(texts) if text]
    return [texts[row] for row in rows], np.array([labels[row] for row in rows], np.int64)
