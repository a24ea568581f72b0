"""P8: image model on one photo against the same network in eager PyTorch; F1 lost by the graph."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import materials
from benchmarks.compare import alternate, median_and_range, median_of
from benchmarks.outcome import Check, Outcome
from benchmarks.timing import ms_per_item
from benchmarks.trained import trained_image_model
from components.train_image.network import PhotoClassifier
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.evaluation.scores import weighted_f1
from product_classifier.images import decoding
from product_classifier.images.model import ImageModel

MIN_RATIO = 2.5
MAX_F1_LOSS = 0.002
PHOTOS = 40
ROUNDS = 5


def measure(_folder: Path) -> Outcome:
    """Time two networks in both runtimes; evaluate the trained one in both on held-out photos."""
    torch.set_num_threads(1)
    mobile = ImageModel(materials.mobile_graph(), materials.LARGE_SIZE, CHALLENGE.codes)
    trained = trained_image_model()
    found = {
        "MobileNetV2 ×0.35, 224 px": _timed(mobile, materials.mobile_network()),
        f"the product's network, {trained.model.size} px": _timed(trained.model, trained.network),
    }
    f1 = {
        "ours": weighted_f1(trained.model.probabilities_from_pixels(trained.pixels), trained.labels),
        "torch": weighted_f1(_eager(trained.network, trained.pixels), trained.labels),
    }
    ours, peer = (median_of(found["MobileNetV2 ×0.35, 224 px"][name]) for name in ("ours", "torch"))
    return Outcome(
        ours=f"{ours:.2f} ms, F1 {f1['ours']:.4f}",
        peer=f"torch eager: {peer:.2f} ms, F1 {f1['torch']:.4f}",
        ratio=peer / ours,
        checks=[
            Check("times faster", peer / ours, "×", "≥", MIN_RATIO),
            Check("F1 lost", f1["torch"] - f1["ours"], "", "≤", MAX_F1_LOSS),
        ],
        details=[
            {"what": name, **{f"{side}, CPU ms per photo": median_and_range(rounds) for side, rounds in sides.items()}}
            for name, sides in found.items()
        ],
        note=f"F1 of the product's network, trained on the sample, on {len(trained.labels)} held-out photos.",
    )


def _timed(model: ImageModel, network: PhotoClassifier) -> dict[str, list[float]]:
    pixels = [model.decode(photo)[None] for photo in materials.photos(PHOTOS)]
    sides: dict[str, Callable[[], float]] = {
        "ours": lambda: ms_per_item(lambda: [model.probabilities_from_pixels(one) for one in pixels], PHOTOS),
        "torch": lambda: ms_per_item(lambda: [_eager(network, one) for one in pixels], PHOTOS),
    }
    return alternate(sides, ROUNDS)


def _eager(network: PhotoClassifier, pixels: decoding.Pixels) -> np.ndarray[Any, np.dtype[np.float32]]:
    with torch.inference_mode():
        parts = [network(torch.from_numpy(pixels[at : at + 64])).numpy() for at in range(0, len(pixels), 64)]
    return np.concatenate(parts)
