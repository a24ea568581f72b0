"""Write products to Parquet row group by row group, and count them."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
from pyarrow import parquet

from product_classifier.catalogue.catalogue_rows import COLUMNS, CatalogueRow, RevisionDigest
from product_classifier.text.characters import storable
from product_classifier.text.normalization import has_words

_ROW_GROUP = 16_384


class ProductWriter:
    """Writes products to a Parquet file; at most one row group is held in memory."""

    def __init__(self, path: Path, *, integers: bool) -> None:
        """Create the file; `integers` says that ids are integers, as in the challenge."""
        integer_columns = {"line", "product_id"} if integers else {"line"}
        self._schema = pa.schema([(name, pa.int64() if name in integer_columns else pa.string()) for name in COLUMNS])
        self._rows: list[CatalogueRow] = []
        self._writer = parquet.ParquetWriter(path, self._schema)

    def add(self, row: CatalogueRow) -> None:
        """Add a product."""
        self._rows.append(row)
        if len(self._rows) >= _ROW_GROUP:
            self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        columns: list[Any] = list(zip(*self._rows, strict=True)) or [[]] * len(COLUMNS)
        arrays = [
            pa.array(map(storable, values) if kind.type == pa.string() else values, kind.type)
            for values, kind in zip(columns, self._schema, strict=True)
        ]
        if self._rows:
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self._rows.clear()


@dataclass(slots=True)
class ProductCounts:
    """Numbers of products for the report, and the digest of their content."""

    products: int = 0
    with_text_and_photo: int = 0
    without_photo: int = 0
    without_text: int = 0
    without_description: int = 0
    by_code: Counter[str] = field(default_factory=Counter)
    revision: RevisionDigest = field(default_factory=RevisionDigest)

    def add(self, row: CatalogueRow) -> None:
        """Count a product."""
        text, photo = has_words(row.designation, row.description), bool(row.image_path)
        self.products += 1
        self.with_text_and_photo += text and photo
        self.without_photo += not photo
        self.without_text += not text
        self.without_description += not row.description
        self.by_code[row.code] += 1
        self.revision.update(row.product_id, row.code, row.designation, row.description, row.image_sha256)

    def report(self) -> dict[str, object]:
        """Return the numbers by name."""
        return {
            "products": self.products,
            "with_text_and_photo": self.with_text_and_photo,
            "without_photo": self.without_photo,
            "without_text": self.without_text,
            "without_description": self.without_description,
            "by_code": {str(code): count for code, count in self.by_code.items()},
        }
