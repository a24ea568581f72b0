"""The labelled photos of a run, read one by one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from components.shared.out_of_fold import folds_of, read_labelled
from components.shared.raw import photo_path
from product_classifier.catalogue.product_table import read_products
from product_classifier.taxonomy import Codes


@dataclass(frozen=True)
class LabelledPhotos:
    """Products that have a photo and a category of the model; the photos are on disk."""

    raw: Path
    products: pd.DataFrame
    labels: NDArray[np.int64]
    """Columns of the categories `[n]`."""
    folds: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def product_ids(self) -> NDArray[Any]:
        """Ids of the products `[n]`."""
        return self.products["product_id"].to_numpy()

    def path(self, row: int) -> str:
        """Return the name of a photo in the dataset."""
        return str(self.products["image_path"].iloc[row])

    def read(self, row: int) -> bytes:
        """Return the encoded photo: from the column `photo`, as in merged corrections, or from its file.

        Raises:
            OSError: If the file cannot be read.
        """
        content = self.products["photo"].iloc[row] if "photo" in self.products else None
        return content if isinstance(content, bytes) else photo_path(self.raw, self.path(row)).read_bytes()

    def take(self, rows: NDArray[Any]) -> "LabelledPhotos":
        """Return the products of these rows, or of a mask."""
        return LabelledPhotos(self.raw, self.products[rows].reset_index(drop=True), self.labels[rows], self.folds[rows])


def read_labelled_photos(train: Path, validation: Path, raw: Path, codes: Codes, seed: int) -> LabelledPhotos:
    """Return the photos of both splits, with folds that are equal in all steps."""
    products, _ = read_labelled(train, validation, ("image_path", "photo"))
    return _with_photo(products, folds_of(products, seed), raw, codes)


def read_photos_of(split: Path, raw: Path, codes: Codes) -> LabelledPhotos:
    """Return the photos of one split, all in one fold."""
    columns = ("product_id", "image_path", "code", "photo")
    products = read_products(split, columns=[name for name in pq.read_schema(split).names if name in columns])
    return _with_photo(products, np.zeros(len(products), np.int64), raw, codes)


def _with_photo(products: pd.DataFrame, folds: NDArray[np.int64], raw: Path, codes: Codes) -> LabelledPhotos:
    """Return the products that have a photo and a category of `codes`."""
    kept = ((products["image_path"] != "") & products["code"].isin(codes)).to_numpy(bool)
    positions = {code: position for position, code in enumerate(codes)}
    labels = np.array([positions[code] for code in products["code"][kept]], np.int64)
    return LabelledPhotos(raw, products[kept].reset_index(drop=True), labels, folds[kept])
