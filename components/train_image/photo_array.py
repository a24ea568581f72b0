"""Decode the photos of a split into one array, and augment them."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's convention
from numpy.typing import NDArray
from pyarrow.parquet import read_schema

from components.shared import progress
from components.shared.raw import photo_path
from product_classifier.catalogue.product_table import read_products
from product_classifier.errors import InvalidImage
from product_classifier.images import decoding
from product_classifier.observability import get_logger

IN_MEMORY_BYTES = 2**30
"""Larger arrays of decoded photos are memory-mapped files."""


@dataclass(frozen=True)
class Photos:
    """Pixels `[n, size, size, 3]`, columns of the categories `[n]` and product ids `[n]`."""

    pixels: decoding.Pixels
    labels: NDArray[np.int64]
    product_ids: NDArray[Any]

    def __len__(self) -> int:
        return len(self.labels)


@contextmanager
def read_photos(split: Path, raw: Path, codes: Sequence[str], size: int) -> Iterator[Photos]:
    """Decode the photos of the products that have one and a category of `codes`.

    Photos are read below `raw`, unless the split holds their bytes in the column `photo`, as merged corrections do.
    """
    columns = [name for name in ("product_id", "image_path", "code", "photo") if name in read_schema(split).names]
    products = read_products(split, columns=columns)
    products = products[(products["image_path"] != "") & products["code"].isin(codes)]
    positions = {code: position for position, code in enumerate(codes)}
    labels = np.array([positions[code] for code in products["code"]], np.int64)
    shape = (len(products), size, size, 3)
    with tempfile.TemporaryDirectory() as folder:
        if int(np.prod(shape)) > IN_MEMORY_BYTES:
            pixels: decoding.Pixels = np.lib.format.open_memmap(Path(folder) / "pixels.npy", "w+", np.uint8, shape)
        else:
            pixels = np.empty(shape, np.uint8)
        report, paths = progress.on_stderr(), list(products["image_path"])
        contents = list(products.get("photo", [None] * len(products)))

        def decode(row: int) -> bool:
            content = contents[row]
            try:
                photo = photo_path(raw, paths[row]).read_bytes() if content is None else content
                pixels[row] = decoding.decode(photo, size, trimmed=True)
            except (InvalidImage, OSError) as error:  # the catalogue has checked it, but the file may have changed
                get_logger().warning("photo_dropped", photo=paths[row], reason=str(error))
                return False
            return True

        with ThreadPoolExecutor(os.cpu_count()) as threads:  # decoders release the GIL
            decoded = np.zeros(len(paths), np.bool_)
            for row, usable in enumerate(threads.map(decode, range(len(paths)))):
                decoded[row] = usable
                report("photos decoded", row + 1, len(paths))
        ids = products["product_id"].to_numpy()
        yield (Photos(pixels, labels, ids) if decoded.all() else Photos(pixels[decoded], labels[decoded], ids[decoded]))


def augment(pixels: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Flip, scale, shift and tint each photo of `[n, 3, size, size]` at random."""
    count = len(pixels)

    def between(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=random)

    flip = torch.where(between(0, 1) < 0.5, -1.0, 1.0)
    zoom = between(0.8, 1.1)
    affine = torch.zeros(count, 2, 3)
    affine[:, 0, 0], affine[:, 1, 1] = flip * zoom, zoom
    affine[:, :, 2] = between(-0.12, 0.12, 2)
    grid = F.affine_grid(affine, list(pixels.shape), align_corners=False)
    moved = F.grid_sample(255 - pixels, grid, align_corners=False)  # inverted, so that padding is white
    contrast, tint = between(0.8, 1.2, 1, 1, 1), between(0.9, 1.1, 3, 1, 1)
    return (255 - moved * contrast * tint).clamp(0, 255)
