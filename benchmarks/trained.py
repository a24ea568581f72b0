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
from components.shared.fine_tuning.checkpoints import NoCheckpoints
from components.shared.fine_tuning.process_group import Processes
from components.shared.fine_tuning.training_loop import train_network
from components.shared.fine_tuning.training_schedule import Schedule
from components.train_image.labelled_photos import read_photos_of
from components.train_image.network import PhotoClassifier, export, small_network
from components.train_image.photo_examples import PhotoExamples
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.catalogue.challenge.sample.offers import offer
from product_classifier.catalogue.challenge.sample.photo_generator import photo
from product_classifier.images import decoding
from product_classifier.images.model import ImageModel

SIZE = 64
TRAINING_PRODUCTS, HELD_OUT = 2000, 1000
EPOCHS = 12
BUDGET_S = 25.0


@dataclass(frozen=True)
class TrainedImageModel:
    """A network, its ONNX graph and held-out photos."""

    network: PhotoClassifier
    model: ImageModel
    pixels: decoding.Pixels
    labels: NDArray[np.int64]


def trained_image_model() -> TrainedImageModel:
    """Return the network; the first call trains and caches it."""
    folder = CACHE.resolve() / "image-network"
    with tempfile.TemporaryDirectory() as scratch:
        held_out = _photos(Path(scratch), "held-out", range(10**6, 10**6 + HELD_OUT))
        if not (folder / "done.json").exists():
            _train(folder, Path(scratch), held_out)
        network = small_network(len(CHALLENGE))
        network.load_state_dict(torch.load(folder / "network.pt", weights_only=True))
        pixels = held_out.load(np.arange(HELD_OUT), None).inputs[0].numpy()
        model = ImageModel(folder / "model.onnx", SIZE, CHALLENGE.codes)
        return TrainedImageModel(network.eval(), model, pixels, held_out.labels)


def _train(folder: Path, scratch: Path, held_out: PhotoExamples) -> None:
    torch.manual_seed(SEED)
    network = small_network(len(CHALLENGE))
    photos = _photos(scratch, "train", range(TRAINING_PRODUCTS))
    schedule = Schedule(EPOCHS, BUDGET_S, 4e-3, 4e-3, batch_size=32, patience=EPOCHS, seed=SEED)
    train_network(network, photos, held_out, schedule, Processes(0, 1, torch.device("cpu")), NoCheckpoints())
    folder.mkdir(parents=True, exist_ok=True)
    export(network, 1.0, SIZE, folder / "model.onnx")
    torch.save(network.state_dict(), folder / "network.pt")
    (folder / "done.json").write_text(json.dumps({"train": TRAINING_PRODUCTS}))


def _photos(folder: Path, name: str, numbers: range) -> PhotoExamples:
    """Write sample photos and a split table; return the photos."""
    rows = []
    for number in numbers:
        code = offer(SEED, number, 10**9).code
        path = folder / f"{number}.jpg"
        path.write_bytes(photo(np.random.default_rng([SEED, number]), code))
        rows.append({"image_path": path.name, "code": code})
    pd.DataFrame(rows).to_parquet(folder / f"{name}.parquet")
    return PhotoExamples(read_photos_of(folder / f"{name}.parquet", folder, CHALLENGE.codes), SIZE)
