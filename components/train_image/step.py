"""Train the image model."""

import math
import tempfile
from pathlib import Path

from components.shared.fine_tuning.training_schedule import Schedule
from components.shared.out_of_fold import write_out_of_fold
from components.train_image.uniform_model import has_photos, write_uniform
from product_classifier.bundles import bundle
from product_classifier.errors import InvalidSettings
from product_classifier.evaluation.scores import weighted_f1
from product_classifier.images.model import ImageModel
from product_classifier.releases import self_check
from product_classifier.taxonomy import Taxonomy

DEFAULT_BACKBONE = "efficientnet-lite0"

PRECISIONS = ("int8", "float32")


def run(
    train: Path,
    validation: Path,
    raw: Path,
    model: Path,
    out_of_fold: Path,
    taxonomy: Taxonomy,
    backbone: str = DEFAULT_BACKBONE,
    size: int = 176,
    precision: str = "int8",
    C: float = 0.01,  # noqa: N803 - scikit-learn's name
    epochs: int = 30,
    budget_s: float = 600.0,
    learning_rate: float = 1e-4,
    head_learning_rate: float = 4e-3,
    batch_size: int = 0,
    micro_batch_size: int = 0,
    patience: int = 8,
    seed: int = 27,
    checkpoints: str = "",
) -> float:
    """Write the sealed bundle `model` and `out_of_fold`; return the weighted F1 of the latter.

    The default backbone is frozen, and a linear layer on its features is fitted on both splits and calibrated on its
    out-of-fold predictions. Nothing depends on the clock. Other networks are trained once, on `train`: their
    predictions, their calibration and their best epoch are those of `validation`.

    `torchrun -m components train_image --backbone …` trains a network with several processes. All but the first return
    nan and write nothing.

    Args:
        train: Products to train on (parquet).
        validation: More products to train on, or those a network is calibrated on (parquet).
        raw: Folder of the raw files, which `image_path` is relative to.
        model: Folder of the bundle to write.
        out_of_fold: Predictions of models that were not trained on the product (parquet).
        taxonomy: Categories to predict.
        backbone: `efficientnet-lite0`, frozen; `scratch` for a small network without pretrained weights; or the name or
            folder of a vision backbone to fine-tune. Empty is the default.
        size: Side of the square input of the network, in pixels.
        precision: Numbers in the graph of the frozen backbone, `int8` or `float32`.
        C: Inverse regularization strength of the linear layer, as in scikit-learn.
        epochs: Passes of a trained network over the photos, if `budget_s` allows.
        budget_s: Seconds its training may take; the export is not included.
        learning_rate: Maximum learning rate of its pretrained layers.
        head_learning_rate: Maximum learning rate of its new layers, which are all layers of `scratch`.
        batch_size: Photos per process and training step; 0 for 16 to 256, depending on their number.
        micro_batch_size: Photos that are in memory at once; 0 for 256 on a GPU and 16 on a CPU.
        patience: Epochs without a better F1 on `validation` after which training ends.
        seed: Seed of everything random.
        checkpoints: URL of the object store from which an interrupted training of a network continues; may be empty.

    Raises:
        InvalidSettings: If `precision` is unknown, PyTorch is needed and not installed, or a number is one with which a
            network cannot be trained.
    """
    if precision not in PRECISIONS:
        raise InvalidSettings(f"train_image.precision: is {precision!r:.40}; use one of {', '.join(PRECISIONS)}")
    backbone = backbone or DEFAULT_BACKBONE
    codes = taxonomy.codes
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "model.onnx"
        if not has_photos(train, validation, codes):
            predicted = write_uniform(graph, codes, size)
        elif backbone == DEFAULT_BACKBONE:
            from components.train_image.frozen_backbone import fit_frozen

            predicted = fit_frozen(train, validation, raw, graph, codes, size, precision, C, seed)
        else:
            from components.train_image.fine_tuning import fine_tune

            schedule = Schedule(
                epochs,
                budget_s,
                learning_rate,
                head_learning_rate,
                batch_size,
                micro_batch_size,
                patience,
                seed,
                weight_decay=0.05,
                label_smoothing=0.1,
            )
            found = fine_tune(train, validation, raw, graph, codes, size, backbone, schedule, checkpoints)
            if found is None:
                return math.nan
            predicted = found
        model.mkdir(parents=True, exist_ok=True)
        ImageModel(graph, size, codes, trimmed=True).save(model)
    trained = ImageModel.load(model)
    bundle.write_manifest(model, "image", None, self_check.record_image(trained), trained.codes, taxonomy=taxonomy)
    write_out_of_fold(out_of_fold, predicted.out_of_fold)
    if not len(predicted.labels):
        return 0.0
    return weighted_f1(predicted.out_of_fold.probabilities, predicted.labels)
