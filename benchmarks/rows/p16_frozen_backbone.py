"""P16: the default image model on one photo, decoding included, against the same graph in fp32.

F1 is that of the out-of-fold predictions of `train_image`, for photos of the sample, or of the folder `RAW`.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import materials
from benchmarks.compare import alternate, median_and_range, median_of
from benchmarks.outcome import Check, Outcome
from benchmarks.timing import ms_per_item
from components.make_sample import step as make_sample
from components.prepare_catalogue import step as prepare_catalogue
from components.split_catalogue import step as split_catalogue
from components.train_image import step as train_image
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.images.model import ImageModel

GOAL_MS = 4.5
MAX_F1_LOSS = 0.01
PHOTOS = 100
ROUNDS = 5
PRODUCTS = 2500
SEED = 7


def measure(folder: Path) -> Outcome:
    """Train both precisions on the same photos, then time them on photos of 500 by 500 pixels."""
    raw = _raw(folder)
    f1 = {name: _train(folder, raw, name) for name in train_image.PRECISIONS}
    photos = materials.photos(PHOTOS)
    models = {name: ImageModel.load(folder / name) for name in train_image.PRECISIONS}
    sides: dict[str, Callable[[], float]] = {
        name: lambda model=model: ms_per_item(lambda: [model.probabilities([one]) for one in photos], PHOTOS)  # type: ignore[misc]
        for name, model in models.items()
    }
    found = alternate(sides, ROUNDS)
    decode = ms_per_item(lambda: [models["int8"].decode(photo) for photo in photos], PHOTOS)
    ours, peer = (median_of(found[name]) for name in ("int8", "float32"))
    return Outcome(
        ours=f"{ours:.2f} ms, F1 {f1['int8']:.4f}",
        peer=f"fp32: {peer:.2f} ms, F1 {f1['float32']:.4f}",
        ratio=peer / ours,
        checks=[
            Check("CPU per photo", ours, "ms", "≤", GOAL_MS),
            Check("F1 lost", f1["float32"] - f1["int8"], "", "≤", MAX_F1_LOSS),
        ],
        details=[{"what": name, "CPU ms per photo": median_and_range(rounds)} for name, rounds in found.items()],
        profile=[f"{decode:.2f} ms decode and trim", f"{ours - decode:.2f} ms network in integers"],
        note=f"{PHOTOS} photos of {np.mean([len(photo) for photo in photos]) / 1000:.0f} kB on average.",
    )


def _raw(folder: Path) -> Path:
    """Return the raw folder of the environment, or a new sample."""
    if given := os.environ.get("RAW"):
        return Path(given)
    make_sample.run(folder / "raw", PRODUCTS, SEED)
    return folder / "raw"


def _train(folder: Path, raw: Path, precision: str) -> float:
    train, validation, test, unseen = (folder / f"{side}.parquet" for side in ("train", "validation", "test", "unseen"))
    if not train.exists():
        catalogue = folder / "catalogue"
        prepare_catalogue.run(raw, catalogue, folder / "rejects", folder / "report")
        split_catalogue.run(catalogue, train, validation, test, unseen, folder / "splits.json")
    paths = train, validation, raw, folder / precision, folder / f"{precision}.parquet"
    return train_image.run(*paths, CHALLENGE, precision=precision)
