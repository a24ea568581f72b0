"""The product's image network trained on sample photos, as a PyTorch module and as an ONNX graph."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from benchmarks.environments import CACHE
from benchmarks.materials import SEED
from components.train_image.network import PixelNetwork, export, small_network
from components.train_image.optimization import train_network
from components.train_image.photo_array import read_photos
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.catalogue.sample.offers import offer
from product_classifier.catalogue.sample.photo_generator import photo
from product_classifier.images import decoding
from product_classifier.images.model import ImageModel

SIZE = 64
TRAINING_PRODUCTS, HELD_OUT = 2000, 1000
EPOCHS = 12
BUDGET_S = 25.0


@dataclass(frozen=True)
class TrainedImageModel:
    """A network, its ONNX graph and held-out photos."""

    network: PixelNetwork
    model: ImageModel
    pixels: decoding.Pixels
    labels: NDArray[np.int64]


def trained_image_model() -> TrainedImageModel:
    """Return the network; the first call trains and caches it."""
    folder = CACHE.resolve() / "image-network"
    with tempfile.TemporaryDirectory() as scratch:
        held_out = _split(Path(scratch), "held-out", range(10**6, 10**6 + HELD_OUT))
        with read_photos(held_out, Path(scratch), CHALLENGE.codes, SIZE) as photos:
            if not (folder / "done.json").exists():
                _train(folder, Path(scratch))
            network = small_network(len(CHALLENGE))
            network.load_state_dict(torch.load(folder / "network.pt", weights_only=True))
            return TrainedImageModel(
                network.eval(), ImageModel(folder / "model.onnx", SIZE, CHALLENGE.codes), photos.pixels, photos.labels
            )


def _train(folder: Path, scratch: Path) -> None:
    torch.manual_seed(SEED)
    network = small_network(len(CHALLENGE))
    with read_photos(_split(scratch, "train", range(TRAINING_PRODUCTS)), scratch, CHALLENGE.codes, SIZE) as photos:
        train_network(network, photos, EPOCHS, BUDGET_S, 4e-3, SEED)
    folder.mkdir(parents=True, exist_ok=True)
    export(network, SIZE, folder / "model.onnx")
    torch.save(network.state_dict(), folder / "network.pt")
    (folder / "done.json").write_text(json.dumps({"train": TRAINING_PRODUCTS}))


def _split(folder: Path, name: str, numbers: range) -> Path:
    """Write sample photos and a split table; return the path of the table."""
    rows = []
    for number in numbers:
        code = offer(SEED, number, 10**9).code
        path = folder / f"{number}.jpg"
        path.write_bytes(photo(np.random.default_rng([SEED, number]), code))
        rows.append({"image_path": path.name, "code": code})
    pd.DataFrame(rows).to_parquet(folder / f"{name}.parquet")
    return folder / f"{name}.parquet"
