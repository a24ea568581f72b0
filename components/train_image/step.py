"""Train the image model."""

import os
import tempfile
from pathlib import Path

from components.shared.out_of_fold import OutOfFold, write_out_of_fold
from product_classifier.bundles import bundle
from product_classifier.errors import CatalogueError
from product_classifier.evaluation.scores import weighted_f1
from product_classifier.fusion.calibration import fit_logit_scale
from product_classifier.images.model import ImageModel
from product_classifier.releases import self_check
from product_classifier.taxonomy import Taxonomy


def run(
    train: Path,
    validation: Path,
    raw: Path,
    model: Path,
    out_of_fold: Path,
    taxonomy: Taxonomy,
    size: int = 64,
    epochs: int = 30,
    budget_s: float = 20.0,
    learning_rate: float = 4e-3,
    encoder: str = "",
    seed: int = 27,
) -> float:
    """Write the sealed bundle `model`; return its weighted F1 on validation products with a photo.

    `out_of_fold` holds the predictions for `validation`: the network is trained once, on `train`.

    Args:
        train: Products to train on (parquet).
        validation: Products to calibrate on (parquet).
        raw: Folder of the raw files, which `image_path` is relative to.
        model: Folder of the bundle to write.
        out_of_fold: Predictions of a model that was not trained on the product (parquet).
        taxonomy: Categories to predict.
        size: Side of the square input of the network, in pixels.
        epochs: Passes over the photos, if `budget_s` allows.
        budget_s: Seconds the optimization may take; decoding and export are not included.
        learning_rate: Maximum of the learning-rate schedule.
        encoder: Name or folder of a pretrained vision backbone; empty for a small network from scratch.
        seed: Seed of everything random.

    Raises:
        CatalogueError: If fewer than two products to train on have a photo.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # active waiting halves the steps of a busy machine

    import torch

    from components.train_image import network as networks
    from components.train_image.optimization import compute_logits, train_network
    from components.train_image.photo_array import read_photos

    torch.manual_seed(seed)
    codes = taxonomy.codes
    with read_photos(train, raw, codes, size) as photos, read_photos(validation, raw, codes, size) as held_out:
        if len(photos) < 2:
            raise CatalogueError(f"{len(photos)} products to train on have a photo, at least 2 are needed; add photos")
        classes = len(codes)
        network = networks.pretrained_network(encoder, classes) if encoder else networks.small_network(classes)
        train_network(network, photos, epochs, budget_s, learning_rate, seed)
        network.scale = fit_logit_scale(compute_logits(network, held_out), held_out.labels)
        model.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            networks.export(network, size, Path(folder) / "model.onnx")
            ImageModel(Path(folder) / "model.onnx", size, codes).save(model)
        trained = ImageModel.load(model)
        bundle.write_manifest(model, "image", None, self_check.record_image(trained), trained.codes)
        probabilities = trained.probabilities_from_pixels(held_out.pixels)
        write_out_of_fold(out_of_fold, OutOfFold(held_out.product_ids, probabilities, codes))
        return weighted_f1(probabilities, held_out.labels)
