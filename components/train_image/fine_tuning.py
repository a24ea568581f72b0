"""Train a network with PyTorch: a small one from scratch, or a pretrained backbone as a whole."""

import os
from dataclasses import dataclass
from pathlib import Path

from components.shared.encoder_packages import ENCODER_PACKAGES, require_encoder_packages
from components.shared.out_of_fold import OutOfFold
from components.train_image.predicted_photos import PredictedPhotos
from product_classifier.errors import CatalogueError
from product_classifier.fusion.calibration import fit_logit_scale
from product_classifier.images.model import ImageModel
from product_classifier.taxonomy import Codes

SCRATCH = "scratch"


@dataclass(frozen=True, slots=True)
class PhotoSchedule:
    """How long and how fast a network is trained; see the step."""

    epochs: int
    budget_s: float
    learning_rate: float
    seed: int


def fine_tune(
    train: Path,
    validation: Path,
    raw: Path,
    graph: Path,
    codes: Codes,
    size: int,
    backbone: str,
    schedule: PhotoSchedule,
) -> PredictedPhotos:
    """Write the graph of the model; return the predictions for `validation`. See `step.run`.

    Raises:
        CatalogueError: If fewer than two products to train on have a photo.
        InvalidSettings: If PyTorch, or transformers for a pretrained backbone, is not installed.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # active waiting halves the steps of a busy machine
    packages = ("torch",) if backbone == SCRATCH else ENCODER_PACKAGES
    require_encoder_packages("train_image.backbone", backbone, packages)

    import torch  # noqa: PLC0415 - only this backbone needs it, and it is an extra

    from components.train_image import network as networks  # noqa: PLC0415 - imports PyTorch
    from components.train_image.optimization import compute_logits, train_network  # noqa: PLC0415
    from components.train_image.photo_array import read_photos  # noqa: PLC0415

    torch.manual_seed(schedule.seed)
    with read_photos(train, raw, codes, size) as photos, read_photos(validation, raw, codes, size) as held_out:
        if len(photos) < 2:
            raise CatalogueError(f"{len(photos)} products to train on have a photo, at least 2 are needed; add photos")
        classes = len(codes)
        network = (
            networks.small_network(classes) if backbone == SCRATCH else networks.pretrained_network(backbone, classes)
        )
        train_network(network, photos, schedule.epochs, schedule.budget_s, schedule.learning_rate, schedule.seed)
        network.scale = fit_logit_scale(compute_logits(network, held_out), held_out.labels)
        networks.export(network, size, graph)
        probabilities = ImageModel(graph, size, codes).probabilities_from_pixels(held_out.pixels)
        return PredictedPhotos(OutOfFold(held_out.product_ids, probabilities, codes), held_out.labels)
