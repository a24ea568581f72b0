"""The schema of the prediction log: one table for predictions, corrections, reviews and revisions.

`kind` says what a row is; columns of the other kinds are null. Fields of a record that no column holds, such as those
of later versions, are kept as JSON in `extra`, so that a record is read back as it was written. The schema's metadata
`prediction_log` has the version: columns are only ever added, and a reader takes the columns it knows.
"""

import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from product_classifier.errors import InvalidInput
from product_classifier.feedback.records import Correction, PredictionRecord, Review, Revision
from product_classifier.taxonomy.stored_codes import TEXT_CODES
from product_classifier.validation_messages import described

Kind = Literal["prediction", "correction", "review", "revision"]
LoggedRecord = PredictionRecord | Correction | Review | Revision
Row = dict[str, Any]

VERSION: Final = 1
_METADATA: Final = b"prediction_log"
_PROBABILITY: Final = pa.struct([("code", pa.string()), ("probability", pa.float64())])
SCHEMA: Final = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        ("created", pa.timestamp("us", "UTC")),
        ("user", pa.string()),
        ("role", pa.string()),
        ("prediction_id", pa.string()),
        ("designation", pa.string()),
        ("description", pa.string()),
        ("image_sha256", pa.string()),
        ("code", pa.string()),
        ("confidence", pa.float64()),
        ("decision", pa.string()),
        ("top", pa.list_(_PROBABILITY)),
        ("text_code", pa.string()),
        ("text_probability", pa.float64()),
        ("image_code", pa.string()),
        ("image_probability", pa.float64()),
        ("degraded", pa.bool_()),
        ("release", pa.string()),
        ("taxonomy_version", pa.int32()),
        ("predicted", pa.string()),
        ("predicted_version", pa.int32()),
        ("comment", pa.string()),
        ("feedback_id", pa.string()),
        ("action", pa.string()),
        ("replacement", pa.string()),
        ("extra", pa.string()),
    ],
    metadata={_METADATA: json.dumps({"version": VERSION}).encode()},
)
"""Columns of a part; `user` is who asked, corrected or reviewed, and `decision` also that of a review."""

_MODELS: Final[Mapping[Kind, type[LoggedRecord]]] = {
    "prediction": PredictionRecord,
    "correction": Correction,
    "review": Review,
    "revision": Revision,
}
_RENAMED: Final[Mapping[Kind, Mapping[str, str]]] = {
    "prediction": {"prediction_id": "id"},
    "correction": {"feedback_id": "id"},
    "review": {"feedback_id": "id", "reviewer": "user"},
    "revision": {"revision_id": "id"},
}
_PRODUCT: Final = ("designation", "description", "image_sha256")
_MODALITIES: Final = ("text", "image")


def to_row(record: LoggedRecord) -> Row:
    """Return the row of a record."""
    kind = kind_of(record)
    values = record.model_dump(context=TEXT_CODES)
    row: Row = {"kind": kind}
    product, modalities = values.pop("product", None), values.pop("modalities", None) or {}
    if product is not None:
        row.update({name: product.pop(name) for name in _PRODUCT})
    for modality in _MODALITIES:
        if (found := modalities.get(modality)) is not None:
            row[f"{modality}_code"], row[f"{modality}_probability"] = found["code"], found["probability"]
    for name, column in _RENAMED[kind].items():
        row[column] = values.pop(name)
    row.update({name: values.pop(name) for name in list(values) if name in SCHEMA.names})
    extra = {name: value for name, value in values.items() if value is not None}
    row["extra"] = json.dumps(extra, ensure_ascii=False) if extra else None
    return row


def from_row(row: Mapping[str, Any]) -> LoggedRecord:
    """Return the record of a row; raise `InvalidInput` if it is not one."""
    kind: Kind = row["kind"]
    if kind not in _MODELS:
        raise InvalidInput(f"prediction log, row {row['id']!r}: kind is {kind!r}, not one of {', '.join(_MODELS)}")
    model = _MODELS[kind]
    values = {name: row[name] for name in model.model_fields if name in row and row[name] is not None}
    values |= {name: row[column] for name, column in _RENAMED[kind].items()}
    if "product" in model.model_fields and row["designation"] is not None:
        values["product"] = {name: row[name] for name in _PRODUCT}
    if "modalities" in model.model_fields:
        values["modalities"] = {
            modality: {"code": row[f"{modality}_code"], "probability": row[f"{modality}_probability"]}
            for modality in _MODALITIES
            if row[f"{modality}_code"] is not None
        }
    values |= json.loads(row["extra"]) if row["extra"] else {}
    try:
        return model.model_validate(values)
    except ValidationError as error:
        field, reason = described(error)[0]
        raise InvalidInput(f"prediction log, {kind} {row['id']!r}: {field}: {reason}") from error


def kind_of(record: LoggedRecord) -> Kind:
    """Return the kind of a record."""
    return next(kind for kind, model in _MODELS.items() if isinstance(record, model))


def to_parquet(rows: Sequence[Row]) -> bytes:
    """Return a part with these rows, sorted by kind and id; equal rows give equal bytes."""
    ordered = sorted(rows, key=lambda row: (row["kind"], row["id"]))
    columns = [pa.array([row.get(field.name) for row in ordered], field.type) for field in SCHEMA]
    return table_to_parquet(pa.Table.from_arrays(columns, schema=SCHEMA))


def table_to_parquet(table: pa.Table) -> bytes:
    """Return a table of this schema as Parquet."""
    buffer = BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def read_table(data: bytes, columns: Sequence[str] | None = None, filters: Any = None) -> pa.Table:
    """Read a part.

    Args:
        data: Content of the part.
        columns: Columns to read; None for all of this version that the part has.
        filters: As of `pyarrow.parquet.read_table`.

    Raises:
        InvalidInput: If it is not a part of the prediction log.
    """
    try:
        schema = pq.read_schema(BytesIO(data))
        version = json.loads((schema.metadata or {})[_METADATA])["version"]
        wanted = [name for name in columns or SCHEMA.names if name in schema.names]
        table = pq.read_table(BytesIO(data), columns=wanted, filters=filters)
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise InvalidInput(f"prediction log: a part cannot be read: {error}; restore it from a backup") from error
    if not isinstance(version, int) or version < 1:
        raise InvalidInput(f"prediction log: a part has version {version!r}; restore it from a backup")
    return table
