"""Train a network with PyTorch: a small one from scratch, or a pretrained backbone as a whole."""

import os
from pathlib import Path

from components.shared.encoder_packages import ENCODER_PACKAGES, require_encoder_packages
from components.shared.fine_tuning.training_schedule import Schedule, check_schedule
from components.shared.out_of_fold import OutOfFold
from components.train_image.labelled_photos import LabelledPhotos, read_photos_of
from components.train_image.predicted_photos import PredictedPhotos
from product_classifier.errors import CatalogueError
from product_classifier.fusion.calibration import fit_logit_scale
from product_classifier.images.model import ImageModel
from product_classifier.taxonomy import Codes
from product_classifier.top_probabilities import TopProbabilities

SCRATCH = "scratch"


def fine_tune(
    train: Path,
    validation: Path,
    raw: Path,
    graph: Path,
    codes: Codes,
    size: int,
    backbone: str,
    schedule: Schedule,
    checkpoints: str,
) -> PredictedPhotos | None:
    """Write the graph of the model; return the predictions for `validation`. See `step.run`.

    Of several processes only the first writes the graph and returns predictions.

    Raises:
        CatalogueError: If fewer than two products to train on have a photo.
        InvalidSettings: If PyTorch, or transformers for a pretrained backbone, is not installed, or training diverges.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # active waiting halves the steps of a busy machine
    packages = ("torch",) if backbone == SCRATCH else ENCODER_PACKAGES
    require_encoder_packages("train_image.backbone", backbone, packages)
    check_schedule("train_image", schedule)

    import torch  # noqa: PLC0415 - only this backbone needs it, and it is an extra

    from components.shared.fine_tuning.checkpoints import open_checkpoints  # noqa: PLC0415 - imports PyTorch
    from components.shared.fine_tuning.process_group import join_processes  # noqa: PLC0415
    from components.shared.fine_tuning.training_loop import compute_logits, train_network  # noqa: PLC0415
    from components.train_image import network as networks  # noqa: PLC0415
    from components.train_image.photo_examples import PhotoExamples, decodable  # noqa: PLC0415

    torch.manual_seed(schedule.seed)
    photos, held_out = (read_photos_of(split, raw, codes) for split in (train, validation))
    if len(photos) < 2:
        raise CatalogueError(f"{len(photos)} products to train on have a photo, at least 2 are needed; add photos")
    held_out = held_out.take(decodable(held_out, size))
    classes = len(codes)
    network = networks.small_network(classes) if backbone == SCRATCH else networks.pretrained_network(backbone, classes)
    network.to(memory_format=torch.channels_last)  # twice as fast on a processor
    saved = open_checkpoints(checkpoints, ("train_image", backbone, size, codes, schedule), (train, validation))
    examples = PhotoExamples(held_out, size)
    with join_processes() as processes:
        train_network(network, PhotoExamples(photos, size), examples, schedule, processes, saved)
        micro_batch = schedule.products_in_memory(processes.device.type)
        logits = compute_logits(network.to(processes.device), examples, processes, micro_batch)
        if not processes.is_first:
            return None
    networks.export(network.cpu(), fit_logit_scale(logits, held_out.labels), size, graph)
    saved.delete()
    return PredictedPhotos(_predict(ImageModel(graph, size, codes, trimmed=True), held_out), held_out.labels)


def _predict(model: ImageModel, photos: LabelledPhotos) -> OutOfFold:
    """Return the predictions of the exported graph, batch by batch."""
    batches = [range(start, min(start + 64, len(photos))) for start in range(0, len(photos), 64)]
    parts = [TopProbabilities.of(model.probabilities([photos.read(row) for row in rows])) for rows in batches]
    return OutOfFold(photos.product_ids, TopProbabilities.concatenate(parts, len(model.codes)), model.codes)
