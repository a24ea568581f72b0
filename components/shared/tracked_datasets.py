"""The splits of a training as MLflow shows them: digest, rows and columns."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq

from components.shared.tracking import DatasetRecord

CONTEXTS = {"train": "training", "validation": "validation", "test": "testing"}
"""Split to what it is read for."""


def describe_splits(splits: Mapping[str, Path], revision: str) -> list[DatasetRecord]:
    """Return the records of splits (parquet); memory does not grow with the rows."""
    return [_describe(name, path, revision) for name, path in splits.items()]


def _describe(name: str, path: Path, revision: str) -> DatasetRecord:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    columns = {field.name: str(field.type) for field in pq.read_schema(path)}
    return DatasetRecord(name, CONTEXTS[name], digest, pq.read_metadata(path).num_rows, columns, revision)
