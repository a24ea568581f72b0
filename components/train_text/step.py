"""Train the text model."""

import math
from pathlib import Path

import numpy as np

from components.shared.encoder_names import packaged_encoders
from components.shared.encoder_packages import require_encoder_packages
from components.shared.fine_tuning.training_schedule import Schedule, check_schedule
from components.shared.out_of_fold import OutOfFold, write_out_of_fold
from components.train_text.labelled_texts import read_texts
from product_classifier.bundles import bundle
from product_classifier.errors import InvalidSettings
from product_classifier.evaluation.scores import weighted_f1
from product_classifier.releases import self_check
from product_classifier.taxonomy import Taxonomy
from product_classifier.text.features import TextFeatures
from product_classifier.text.model import TextModel
from product_classifier.text.normalization import normalize, strip_markup
from product_classifier.top_probabilities import CANDIDATES, TopProbabilities, batches

LATE_FUSED_CATEGORIES = 1000
"""Categories of a late fusion: its linear part has a dense table of buckets x categories, which takes 1 GB."""


def run(
    train: Path,
    validation: Path,
    model: Path,
    out_of_fold: Path,
    taxonomy: Taxonomy,
    buckets: int = 2**18,
    C: float = 1.0,  # noqa: N803 - scikit-learn's name
    encoder: str = "",
    epochs: int = 3,
    budget_s: float = 600.0,
    learning_rate: float = 5e-5,
    head_learning_rate: float = 5e-4,
    batch_size: int = 0,
    micro_batch_size: int = 0,
    patience: int = 3,
    seed: int = 27,
    checkpoints: str = "",
) -> float:
    """Write the sealed bundle `model` and `out_of_fold`; return the weighted F1 of the latter.

    The linear model is trained on both splits and calibrated on its out-of-fold predictions. So is its late fusion with
    packaged encoders, which are frozen. Another encoder is trained once, on `train`: its predictions, its
    calibration and its best epoch are those of `validation`.

    `torchrun -m components train_text --encoder …` trains an encoder with several processes. All but the first return
    nan and write nothing.

    Args:
        train: Products to train on (parquet).
        validation: More products to train on, or those an encoder is calibrated on (parquet).
        model: Folder of the bundle to write.
        out_of_fold: Predictions of models that were not trained on the product (parquet).
        taxonomy: Categories to predict.
        buckets: Size of the hashed vocabulary, a power of two.
        C: Inverse regularization strength of the linear support vector machines, as in scikit-learn.
        encoder: `e5-small`, `use-multilingual` or `e5-small+use-multilingual`, frozen beside the linear model; or the
            name or folder of an encoder to fine-tune, such as camembert-base; empty for the linear model.
        epochs: Passes of the encoder over the texts, if `budget_s` allows.
        budget_s: Seconds the training of an encoder may take.
        learning_rate: Maximum learning rate of an encoder's pretrained layers.
        head_learning_rate: Maximum learning rate of its new layer.
        batch_size: Products per process and training step; 0 for 16 to 256, depending on their number.
        micro_batch_size: Products that are in memory at once; 0 for 256 on a GPU and 16 on a CPU.
        patience: Epochs without a better F1 on `validation` after which training ends.
        seed: Seed of everything random.
        checkpoints: URL of the object store from which an interrupted training of an encoder continues; may be empty.

    Raises:
        CatalogueError: If too few products to train on have text.
        InvalidSettings: If there is an encoder and a package it needs is not installed, or a number with
            which it cannot be trained, or there are too many categories.
    """
    schedule = Schedule(
        epochs, budget_s, learning_rate, head_learning_rate, batch_size, micro_batch_size, patience, seed
    )
    packaged = packaged_encoders(encoder)
    if packaged and len(taxonomy.codes) > LATE_FUSED_CATEGORIES:
        raise InvalidSettings(
            f"train_text.encoder: {encoder!r} is fused for at most {LATE_FUSED_CATEGORIES} categories, of"
            f" {len(taxonomy.codes)}; leave it empty"
        )
    if encoder and not packaged:
        require_encoder_packages("train_text.encoder", encoder)
        check_schedule("train_text", schedule)
    codes = taxonomy.codes
    texts = read_texts(train, validation, codes, strip_markup if encoder and not packaged else normalize, seed)
    model.mkdir(parents=True, exist_ok=True)
    trained: TextModel
    if packaged:
        from components.train_text.packaged_encoders import late_fusion

        predicted = np.ones(len(texts.labels), np.bool_)
        stripped = read_texts(train, validation, codes, strip_markup, seed).prepared
        features = TextFeatures(buckets)
        trained, probabilities = late_fusion.fit_and_cross_predict(
            texts, stripped, packaged, codes, features, C, seed, model
        )
        found = TopProbabilities.of(probabilities)
    elif encoder:
        from components.shared.fine_tuning.checkpoints import open_checkpoints
        from components.train_text.encoder_training import fit_encoder

        predicted = texts.held_out
        parts = [
            ([texts.prepared[row] for row in np.flatnonzero(rows)], texts.labels[rows])
            for rows in (~predicted, predicted)
        ]
        saved = open_checkpoints(checkpoints, ("train_text", encoder, codes, schedule), (train, validation))
        fitted = fit_encoder(encoder, parts[0], parts[1], codes, model, schedule, saved)
        if fitted is None:
            return math.nan
        trained = fitted
        held = parts[1][0]
        found = TopProbabilities.concatenate(
            [TopProbabilities.of(trained.classify(held[rows])) for rows in batches(len(held))], len(codes)
        )
    else:
        from components.train_text import linear_training, sparse_training

        predicted = np.ones(len(texts.labels), np.bool_)
        data = texts.prepared, texts.labels, texts.folds, codes, TextFeatures(buckets), C, seed
        if len(codes) > CANDIDATES:
            trained, found = sparse_training.fit_and_cross_predict(*data)
        else:
            trained, probabilities = linear_training.fit_and_cross_predict(*data)
            found = TopProbabilities.of(probabilities)
    write_out_of_fold(out_of_fold, OutOfFold(texts.product_ids[predicted], found, codes))
    trained.save(model)
    bundle.write_manifest(
        model, "text", None, self_check.record_text(trained, taxonomy), trained.codes, taxonomy=taxonomy
    )
    return weighted_f1(found, texts.labels[predicted])
