"""Learn to tell a product's category from its photo."""

import os
import tempfile
from pathlib import Path

from product_classifier.bundles import bundle
from product_classifier.errors import CatalogueError
from product_classifier.evaluation.metrics import weighted_f1
from product_classifier.fusion.calibration import fit_logit_scale
from product_classifier.images.model import ImageModel
from product_classifier.releases import self_check
from product_classifier.taxonomy import CHALLENGE


def run(
    train: Path,
    validation: Path,
    model: Path,
    size: int = 64,
    epochs: int = 30,
    budget_s: float = 20.0,
    learning_rate: float = 4e-3,
    encoder: str = "",
    seed: int = 27,
) -> float:
    """Write the sealed bundle `model`; return its weighted F1 on the validation products that have a photo.

    Args:
        train: What to learn from (parquet).
        validation: What to calibrate on (parquet).
        model: Folder of the bundle.
        size: Side of the square the network sees, in pixels.
        epochs: How often each photo is seen, if the budget allows.
        budget_s: Seconds training may take; decoding and export come on top.
        learning_rate: At its highest.
        encoder: Name or folder of a pretrained vision backbone; empty for a small network from scratch.
        seed: Of everything random.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # spinning threads cost a busy machine most steps

    import torch

    from components.train_image import network as networks
    from components.train_image.photos import read_photos
    from components.train_image.training import logits_of
    from components.train_image.training import train as learn

    torch.manual_seed(seed)
    with read_photos(train, size) as photos, read_photos(validation, size) as held_out:
        if len(photos) < 2:
            raise CatalogueError(f"{len(photos)} products to learn from have a photo: at least two are needed")
        network = networks.pretrained_network(encoder) if encoder else networks.small_network()
        learn(network, photos, epochs, budget_s, learning_rate, seed)
        network.scale = fit_logit_scale(logits_of(network, held_out), held_out.labels)
        model.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            networks.export(network, size, Path(folder) / "model.onnx")
            ImageModel(Path(folder) / "model.onnx", size, CHALLENGE.codes).save(model)
        learnt = ImageModel.load(model)
        bundle.write_manifest(model, "image", None, self_check.record_image(learnt), learnt.codes)
        if not len(held_out):
            return 0.0
        return weighted_f1(learnt.probabilities_from_pixels(held_out.pixels), held_out.labels)
