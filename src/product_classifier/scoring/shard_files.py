"""The Parquet objects of a shard: its products and their predictions."""

import io
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from product_classifier.decisions import decide
from product_classifier.scoring.source import SourceProduct
from product_classifier.taxonomy import Taxonomy
from product_classifier.text.characters import storable

PRODUCT_SCHEMA: Final = pa.schema(
    [(name, pa.int64() if name == "line" else pa.string()) for name in SourceProduct._fields]
)
MODALITIES: Final = ("", "text", "image", "text,image")
"""Names of the modalities by the sum of 1 for text and 2 for image."""


def products_to_bytes(products: Sequence[SourceProduct]) -> bytes:
    """Return the Parquet file of products; equal products give equal bytes."""
    columns = zip(*products, strict=True)
    arrays = [_to_array(values, kind.type) for values, kind in zip(columns, PRODUCT_SCHEMA, strict=True)]
    return _to_bytes(pa.Table.from_arrays(arrays, schema=PRODUCT_SCHEMA))


def _to_array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:
        return pa.array(map(storable, values), kind)


def read_products(data: bytes) -> pa.Table:
    """Return the products of a Parquet file."""
    return parquet.read_table(io.BytesIO(data), use_threads=False)


def prediction_schema(taxonomy: Taxonomy) -> pa.Schema:
    """Return the columns of predictions; codes are integers where the taxonomy has integers."""
    return pa.schema(
        [
            ("file", pa.string()),
            ("line", pa.int64()),
            ("product_id", pa.string()),
            ("code", pa.int64() if taxonomy.code_type == "integer" else pa.string()),
            ("label", pa.string()),
            ("path", pa.list_(pa.string())),
            ("confidence", pa.float32()),
            ("decision", pa.string()),
            ("modalities", pa.string()),
            ("note", pa.string()),
            ("release", pa.string()),
        ]
    )


def predictions_to_bytes(
    products: pa.Table,
    taxonomy: Taxonomy,
    release: str,
    best: NDArray[np.int64],
    confidence: NDArray[np.float32],
    accepted: NDArray[np.bool_],
    modalities: NDArray[np.int64],
    notes: Sequence[str],
) -> bytes:
    """Return the Parquet file of the predictions of `n` products.

    Args:
        products: Their table `[n]`.
        taxonomy: The release's.
        release: Its id.
        best: Position of the predicted code in the taxonomy `[n]`.
        confidence: Its probability `[n]`.
        accepted: Whether it needs no review `[n]`.
        modalities: Position in `MODALITIES` `[n]`.
        notes: Why a photo was not used; empty otherwise `[n]`.
    """
    schema = prediction_schema(taxonomy)
    codes: list[Any] = [taxonomy.to_json_code(code) for code in taxonomy.codes]
    labels = [taxonomy.label(code) for code in taxonomy.codes]
    paths = [list(taxonomy.path_labels(code)) for code in taxonomy.codes]
    decisions = [decide(accepted=False), decide(accepted=True)]
    columns = [
        products["file"].combine_chunks(),
        products["line"].combine_chunks(),
        products["product_id"].combine_chunks(),
        pa.array(codes, schema.field("code").type).take(pa.array(best)),
        pa.array(labels).take(pa.array(best)),
        pa.array(paths, pa.list_(pa.string())).take(pa.array(best)),
        pa.array(confidence),
        pa.array(decisions).take(pa.array(accepted.astype(np.int64))),
        pa.array(MODALITIES).take(pa.array(modalities)),
        pa.array(notes, pa.string()),
        pa.array([release]).take(pa.array(np.zeros(len(best), np.int64))),
    ]
    return _to_bytes(pa.Table.from_arrays(columns, schema=schema))


def _to_bytes(table: pa.Table) -> bytes:
    out = io.BytesIO()
    parquet.write_table(table, out, compression="zstd", compression_level=1)
    return out.getvalue()
