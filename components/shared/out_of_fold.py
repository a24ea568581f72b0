"""Out-of-fold predictions: probabilities of labelled products by models not trained on them.

`train_text` and `train_image` each write one file, which calibrates them, fits the fusion and finds wrong labels. The
file is Parquet with the columns `product_id`, of the type the splits have, and `probabilities`, a list of one float32
per category. The metadata `out_of_fold` of its schema is JSON: the version of the format and the category codes in the
order of the lists. A product without the modality has no row.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from product_classifier.catalogue.product_table import read_products
from product_classifier.catalogue.splits import content_keys
from product_classifier.errors import CatalogueError
from product_classifier.evaluation.folds import assign_folds
from product_classifier.probabilities import Floats
from product_classifier.taxonomy import Codes
from product_classifier.taxonomy.stored_codes import all_to_stored, from_stored

_METADATA = b"out_of_fold"
_VERSION = 1
FOLDS = 5
"""Number of folds: each model behind an out-of-fold prediction is trained on four fifths of the products."""
MANY, FOLDS_OF_MANY = 20_000, 2
"""Of more products the half is enough to train on, and two folds cost as much as one more training."""
_COLUMNS = ("product_id", "designation", "description", "image_sha256", "code")


@dataclass(frozen=True)
class OutOfFold:
    """Out-of-fold probabilities `[n, classes]` of the products that have one modality."""

    product_ids: NDArray[Any]
    probabilities: Floats
    codes: Codes

    def rows_of(self, product_ids: NDArray[Any]) -> NDArray[np.intp]:
        """Return the row of each product, -1 for one without a prediction."""
        rows: NDArray[np.intp] = pd.Index(self.product_ids).get_indexer(pd.Index(product_ids))
        return rows

    def select(self, product_ids: NDArray[Any]) -> tuple[Floats, NDArray[np.bool_]]:
        """Return probabilities `[n, classes]` of products, uniform for one without, and which have some."""
        rows = self.rows_of(product_ids)
        probabilities = np.full((len(rows), len(self.codes)), 1 / len(self.codes), np.float32)
        probabilities[rows >= 0] = self.probabilities[rows[rows >= 0]]
        return probabilities, rows >= 0


def read_labelled(train: Path, validation: Path, columns: Sequence[str] = ()) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Return the products of both splits, and which of them are of `validation`.

    Args:
        train: Products of the training split (parquet).
        validation: Products of the validation split (parquet).
        columns: Columns to return besides id, texts, hash of the photo and category; a split may lack them.
    """
    wanted = {*_COLUMNS, *columns}
    parts = [
        read_products(split, columns=[name for name in pq.read_schema(split).names if name in wanted])
        for split in (train, validation)
    ]
    return pd.concat(parts, ignore_index=True), np.arange(sum(map(len, parts))) >= len(parts[0])


def folds_of(products: pd.DataFrame, seed: int) -> NDArray[np.int64]:
    """Return the fold of each labelled product; equal for all steps that read the same splits."""
    content = zip(products["designation"], products["description"], products["image_sha256"], strict=True)
    keys = [content_keys(*product) for product in content]
    folds = FOLDS if len(products) <= MANY else FOLDS_OF_MANY
    return assign_folds(keys, products["code"].to_list(), folds, seed)


def write_out_of_fold(path: Path, found: OutOfFold) -> None:
    """Write the file, replacing an earlier one.

    Raises:
        ValueError: If a product has two rows, or the shapes do not agree.
    """
    ids = pa.array(found.product_ids)
    if len(ids.unique()) != len(ids) or found.probabilities.shape != (len(ids), len(found.codes)):
        raise ValueError(
            f"{len(ids)} product ids, {len(ids.unique())} distinct, with probabilities of shape "
            f"{found.probabilities.shape} for {len(found.codes)} categories"
        )
    flat = pa.array(np.ascontiguousarray(found.probabilities, np.float32).ravel())
    lists = pa.FixedSizeListArray.from_arrays(flat, len(found.codes))
    metadata = json.dumps({"version": _VERSION, "codes": all_to_stored(found.codes)}).encode()
    table = pa.table({"product_id": ids, "probabilities": lists}).replace_schema_metadata({_METADATA: metadata})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def read_out_of_fold(path: Path) -> OutOfFold:
    """Read the file.

    Raises:
        CatalogueError: If it is not a file of this format.
    """
    table = pq.read_table(path)
    metadata = json.loads((table.schema.metadata or {}).get(_METADATA, b"{}"))
    if metadata.get("version") != _VERSION:
        raise CatalogueError(
            f"{path.name}: is not a file of out-of-fold predictions of version {_VERSION}; start the run again"
        )
    codes: Codes = tuple(map(from_stored, metadata["codes"]))
    flat = table["probabilities"].combine_chunks().flatten().to_numpy()
    return OutOfFold(table["product_id"].to_numpy(), flat.reshape(-1, len(codes)), codes)
