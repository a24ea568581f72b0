"""Out-of-fold predictions: probabilities of labelled products by models not trained on them.

`train_text` and `train_image` each write one file, which calibrates them, fits the fusion and finds wrong labels. The
file is Parquet with the columns `product_id`, of the type the splits have, and `probabilities`, a list of one float32
per category. Of many categories only the largest are kept, and a column `positions` has a list of their positions. The
metadata `out_of_fold` of its schema is JSON: the version of the format and the category codes. A product without the
modality has no row.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from product_classifier.catalogue.content_keys import content_keys
from product_classifier.catalogue.product_table import read_products
from product_classifier.errors import CatalogueError
from product_classifier.evaluation.folds import assign_folds
from product_classifier.taxonomy import Codes
from product_classifier.taxonomy.stored_codes import all_to_stored, from_stored
from product_classifier.top_probabilities import TopProbabilities, all_columns

_METADATA = b"out_of_fold"
_VERSION = 1
FOLDS = 5
"""Number of folds: each model behind an out-of-fold prediction is trained on four fifths of the products."""
MANY, FOLDS_OF_MANY = 20_000, 2
"""Of more products the half is enough to train on, and two folds cost as much as one more training."""
_COLUMNS = ("product_id", "designation", "description", "image_sha256", "code")


@dataclass(frozen=True)
class OutOfFold:
    """Out-of-fold probabilities of the products that have one modality."""

    product_ids: NDArray[Any]
    probabilities: TopProbabilities
    codes: Codes

    def rows_of(self, product_ids: NDArray[Any]) -> NDArray[np.intp]:
        """Return the row of each product, -1 for one without a prediction."""
        rows: NDArray[np.intp] = pd.Index(self.product_ids).get_indexer(pd.Index(product_ids))
        return rows

    def select(self, product_ids: NDArray[Any]) -> tuple[TopProbabilities, NDArray[np.bool_]]:
        """Return the probabilities of products, uniform for one without, and which have some."""
        rows = self.rows_of(product_ids)
        probabilities = TopProbabilities.uniform(len(rows), len(self.codes))
        probabilities.put(rows >= 0, self.probabilities[rows[rows >= 0]])
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


@dataclass(frozen=True)
class PredictedProducts:
    """The labelled products that have a category of the models and an out-of-fold prediction."""

    labelled: pd.DataFrame
    """All labelled products, also without a prediction."""
    rows: NDArray[np.intp]
    """Their positions in `labelled` `[n]`."""
    labels: NDArray[np.int64]
    """Positions of their categories in `codes` `[n]`."""
    text: TopProbabilities
    image: TopProbabilities
    has_text: NDArray[np.bool_]
    """Whether a product has a prediction of the text model `[n]`."""
    has_image: NDArray[np.bool_]
    codes: Codes

    @property
    def products(self) -> pd.DataFrame:
        """Return their table `[n]`."""
        return self.labelled.iloc[self.rows]

    def __getitem__(self, chosen: NDArray[np.intp]) -> "PredictedProducts":
        """Return the products at these positions."""
        return replace(
            self,
            rows=self.rows[chosen],
            labels=self.labels[chosen],
            text=self.text[chosen],
            image=self.image[chosen],
            has_text=self.has_text[chosen],
            has_image=self.has_image[chosen],
        )


def read_predicted(
    train: Path, validation: Path, text_out_of_fold: Path, image_out_of_fold: Path, columns: Sequence[str] = ()
) -> PredictedProducts:
    """Return the labelled products of both splits with their out-of-fold predictions.

    Args:
        train: Products of the training split (parquet).
        validation: Products of the validation split (parquet).
        text_out_of_fold: Predictions of text models that were not trained on the product (parquet).
        image_out_of_fold: Predictions of image models that were not trained on the product (parquet).
        columns: Columns of the products to read besides those of `read_labelled`.

    Raises:
        CatalogueError: If a file of predictions has another format, or the two have different categories.
    """
    text, image = read_out_of_fold(text_out_of_fold), read_out_of_fold(image_out_of_fold)
    codes = text.codes
    if image.codes != codes:
        raise CatalogueError(
            f"image_out_of_fold: has {len(image.codes)} categories, text_out_of_fold {len(codes)} others; "
            "train both on one catalogue"
        )
    labelled, _ = read_labelled(train, validation, columns)
    ids = labelled["product_id"].to_numpy()
    is_predicted = np.maximum(text.rows_of(ids), image.rows_of(ids)) >= 0
    rows = np.flatnonzero(is_predicted & labelled["code"].isin(codes).to_numpy())
    (by_text, has_text), (by_image, has_image) = text.select(ids[rows]), image.select(ids[rows])
    positions = {code: position for position, code in enumerate(codes)}
    labels = np.array([positions[code] for code in labelled["code"].iloc[rows]], np.int64)
    return PredictedProducts(labelled, rows, labels, by_text, by_image, has_text, has_image, codes)


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
    top = found.probabilities
    if len(ids.unique()) != len(ids) or (len(top), top.classes) != (len(ids), len(found.codes)):
        raise ValueError(
            f"{len(ids)} product ids, {len(ids.unique())} distinct, with {len(top)} rows of probabilities of "
            f"{top.classes} categories for {len(found.codes)} categories"
        )
    columns = {"product_id": ids, "probabilities": _lists(top.kept.astype(np.float32))}
    if not top.complete:
        columns["positions"] = _lists(top.columns)
    metadata = json.dumps({"version": _VERSION, "codes": all_to_stored(found.codes)}).encode()
    table = pa.table(columns).replace_schema_metadata({_METADATA: metadata})
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
    values = _array(table["probabilities"])
    columns = _array(table["positions"]) if "positions" in table.column_names else all_columns(*values.shape)
    return OutOfFold(table["product_id"].to_numpy(), TopProbabilities(columns, values, len(codes)), codes)


def _lists(values: NDArray[Any]) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).ravel()), values.shape[1])


def _array(lists: pa.ChunkedArray) -> NDArray[Any]:
    found: NDArray[Any] = lists.combine_chunks().flatten().to_numpy()
    return found.reshape(-1, lists.type.list_size)
