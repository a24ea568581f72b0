"""P11: decode photos and run the network in bulk, as training over a frozen encoder does."""

import io
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks import materials
from benchmarks.compare import alternate, median_and_range, median_of
from benchmarks.machine import ALL, pinned
from benchmarks.outcome import Check, Outcome
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.images.model import BATCH, ImageModel

MIN_RATIO = 4.0
ALL_PHOTOS = 85_000
ROUNDS = 2
PHOTOS = 300
PEER_BATCH = 32


def measure(_folder: Path) -> Outcome:
    """Process some photos each way on all cores and extrapolate to all."""
    photos = materials.photos(PHOTOS)
    model = ImageModel(materials.mobile_graph(), materials.LARGE_SIZE, CHALLENGE.codes)
    network = materials.mobile_network()
    with pinned(ALL), ThreadPoolExecutor(len(ALL)) as threads:
        torch.set_num_threads(len(ALL))

        def ours() -> None:
            parts = [photos[at : at + BATCH] for at in range(0, PHOTOS, BATCH)]
            list(threads.map(model.probabilities, parts))  # decoder and network release the GIL

        found = alternate(
            {"ours": lambda: _seconds(ours), "Pillow and torch": lambda: _seconds(lambda: _eager(network, photos))},
            ROUNDS,
        )
    ours_s, peer_s = (median_of(found[name]) / PHOTOS * ALL_PHOTOS for name in found)
    return Outcome(
        ours=f"{ours_s / 60:.1f} min",
        peer=f"Pillow and torch eager: {peer_s / 60:.1f} min",
        ratio=peer_s / ours_s,
        checks=[Check("times faster", peer_s / ours_s, "×", "≥", MIN_RATIO)],
        details=[
            {"what": name, "wall ms per photo": median_and_range([took * 1000 / PHOTOS for took in rounds])}
            for name, rounds in found.items()
        ],
        note=f"Extrapolated from {PHOTOS} photos of 500 by 500 pixels; MobileNetV2 ×0.35 at 224 pixels, all cores.",
    )


def _seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _eager(network: torch.nn.Module, photos: Sequence[bytes]) -> None:
    for at in range(0, len(photos), PEER_BATCH):
        pixels = np.stack([_pillow(photo) for photo in photos[at : at + PEER_BATCH]])
        with torch.inference_mode():
            network(torch.from_numpy(pixels))


def _pillow(photo: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(photo)).convert("RGB")
    return np.asarray(image.resize((materials.LARGE_SIZE,) * 2, Image.Resampling.BILINEAR))
