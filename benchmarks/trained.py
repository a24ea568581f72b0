"""An image network of the product's own, trained on sample photos; kept both as PyTorch and as the graph in service."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from benchmarks.environments import KEPT
from benchmarks.materials import SEED
from components.train_image.network import PixelNetwork, export, small_network
from components.train_image.photos import read_photos
from components.train_image.training import train
from product_classifier.catalogue.sample.offers import offer
from product_classifier.catalogue.sample.photos import photo
from product_classifier.images import decoding
from product_classifier.images.model import ImageModel

SIZE = 64
LEARNT, HELD_OUT = 2000, 1000
EPOCHS = 12
BUDGET_S = 25.0


@dataclass(frozen=True)
class Trained:
    """A network, its graph, and photos neither has seen."""

    network: PixelNetwork
    model: ImageModel
    pixels: decoding.Pixels
    labels: NDArray[np.int64]


def trained_image_model() -> Trained:
    """Return the network, trained on the first call of a checkout."""
    folder = KEPT.resolve() / "image-network"
    with tempfile.TemporaryDirectory() as scratch:
        held_out = _split(Path(scratch), "held-out", range(10**6, 10**6 + HELD_OUT))
        with read_photos(held_out, SIZE) as photos:
            if not (folder / "done.json").exists():
                _train(folder, Path(scratch))
            network = small_network()
            network.load_state_dict(torch.load(folder / "network.pt", weights_only=True))
            return Trained(network.eval(), ImageModel(folder / "model.onnx", SIZE), photos.pixels, photos.labels)


def _train(folder: Path, scratch: Path) -> None:
    torch.manual_seed(SEED)
    network = small_network()
    with read_photos(_split(scratch, "learnt", range(LEARNT)), SIZE) as photos:
        train(network, photos, EPOCHS, BUDGET_S, 4e-3, SEED)
    folder.mkdir(parents=True, exist_ok=True)
    export(network, SIZE, folder / "model.onnx")
    torch.save(network.state_dict(), folder / "network.pt")
    (folder / "done.json").write_text(json.dumps({"learnt": LEARNT}))


def _split(folder: Path, name: str, numbers: range) -> Path:
    """Write sample photos of some numbers as a split."""
    rows = []
    for number in numbers:
        code = offer(SEED, number, 10**9).code
        path = folder / f"{number}.jpg"
        path.write_bytes(photo(np.random.default_rng([SEED, number]), code))
        rows.append({"image_path": str(path), "code": code})
    pd.DataFrame(rows).to_parquet(folder / f"{name}.parquet")
    return folder / f"{name}.parquet"
