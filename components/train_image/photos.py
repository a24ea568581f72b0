"""Photos of a split, decoded once and kept as bytes; and the changes that make few photos look like many."""

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F  # noqa: N812 - as everybody calls it
from numpy.typing import NDArray
from pyarrow.parquet import read_schema

from components.shared import progress
from product_classifier.images import decoding
from product_classifier.taxonomy import CODES, index_of

IN_MEMORY_BYTES = 2**30
"""Decoded photos beyond this size go to a file the system may page out."""


@dataclass(frozen=True)
class Photos:
    """Pixels `[n, size, size, 3]` and label positions `[n]`."""

    pixels: decoding.Pixels
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@contextmanager
def read_photos(split: Path, size: int) -> Iterator[Photos]:
    """Decode the photos of the products that have one and a code."""
    columns = [name for name in ("image_path", "code", "photo") if name in read_schema(split).names]
    products = pd.read_parquet(split, columns=columns)
    products = products[(products["image_path"] != "") & products["code"].isin(CODES)]
    labels = np.array([index_of(code) for code in products["code"]], np.int64)
    shape = (len(products), size, size, 3)
    with tempfile.TemporaryDirectory() as folder:
        if int(np.prod(shape)) > IN_MEMORY_BYTES:
            pixels: decoding.Pixels = np.lib.format.open_memmap(Path(folder) / "pixels.npy", "w+", np.uint8, shape)
        else:
            pixels = np.empty(shape, np.uint8)
        tell, paths = progress.on_stderr(), list(products["image_path"])
        carried = list(products.get("photo", [None] * len(products)))  # corrections bring their photos along

        def fill(row: int) -> None:
            photo = carried[row]
            pixels[row] = decoding.decode(Path(paths[row]).read_bytes() if photo is None else photo, size)

        with ThreadPoolExecutor(os.cpu_count()) as threads:  # decoders let go of the interpreter
            for done, _ in enumerate(threads.map(fill, range(len(paths))), start=1):
                tell("photos decoded", done, len(paths))
        yield Photos(pixels, labels)


def vary(pixels: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Flip, zoom, shift and tint photos `[n, 3, size, size]`, each in its own way."""
    count = len(pixels)

    def between(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=random)

    flip = torch.where(between(0, 1) < 0.5, -1.0, 1.0)
    zoom = between(0.8, 1.1)
    place = torch.zeros(count, 2, 3)
    place[:, 0, 0], place[:, 1, 1] = flip * zoom, zoom
    place[:, :, 2] = between(-0.12, 0.12, 2)
    grid = F.affine_grid(place, list(pixels.shape), align_corners=False)
    moved = F.grid_sample(255 - pixels, grid, align_corners=False)  # outside is white
    contrast, tint = between(0.8, 1.2, 1, 1, 1), between(0.9, 1.1, 3, 1, 1)
    return (255 - moved * contrast * tint).clamp(0, 255)
