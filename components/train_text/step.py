"""Train the text model."""

from pathlib import Path

import numpy as np

from components.shared.encoder_names import packaged_encoders
from components.shared.encoder_packages import require_encoder_packages
from components.shared.out_of_fold import OutOfFold, write_out_of_fold
from components.train_text.labelled_texts import read_texts
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
    out_of_fold: Path,
    taxonomy: Taxonomy,
    buckets: int = 2**18,
    C: float = 1.0,  # noqa: N803 - scikit-learn's name
    encoder: str = "",
    epochs: int = 3,
    budget_s: float = 600.0,
    learning_rate: float = 3e-5,
    seed: int = 27,
) -> float:
    """Write the sealed bundle `model` and `out_of_fold`; return the weighted F1 of the latter.

    The linear model is trained on both splits and calibrated on its out-of-fold predictions. So is its late fusion with
    packaged encoders, which are frozen. Another encoder is trained once, on `train`: its predictions and its
    calibration are those of `validation`.

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
        learning_rate: Initial learning rate of an encoder.
        seed: Seed of everything random.

    Raises:
        CatalogueError: If too few products to train on have text.
        InvalidSettings: If there is an encoder and a package it needs is not installed.
    """
    packaged = packaged_encoders(encoder)
    if encoder and not packaged:
        require_encoder_packages("train_text.encoder", encoder)
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
    elif encoder:
        from components.train_text.encoder_training import Schedule, fit_encoder

        predicted = texts.held_out
        schedule = Schedule(epochs, budget_s, learning_rate, seed)
        parts = [
            ([texts.prepared[row] for row in np.flatnonzero(rows)], texts.labels[rows])
            for rows in (~predicted, predicted)
        ]
        trained = fit_encoder(encoder, parts[0], parts[1], codes, model, schedule)
        probabilities = trained.classify(parts[1][0])
    else:
        from components.train_text.linear_training import fit_and_cross_predict

        predicted = np.ones(len(texts.labels), np.bool_)
        features = TextFeatures(buckets)
        trained, probabilities = fit_and_cross_predict(
            texts.prepared, texts.labels, texts.folds, codes, features, C, seed
        )
    write_out_of_fold(out_of_fold, OutOfFold(texts.product_ids[predicted], probabilities, codes))
    trained.save(model)
    bundle.write_manifest(
        model, "text", None, self_check.record_text(trained, taxonomy), trained.codes, taxonomy=taxonomy.digest
    )
    return weighted_f1(probabilities, texts.labels[predicted])
