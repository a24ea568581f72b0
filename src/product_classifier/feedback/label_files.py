"""Labels in files: CSV, JSON Lines and tasks of Label Studio, written row by row and read row by row.

CSV and JSON Lines have the columns of `COLUMNS`. Reading needs `code` and `designation`, `description`, `image_sha256`
or `prediction_id`, ignores other columns, and accepts every dialect of CSV that a catalogue may have
(`catalogue.tables`). Label Studio tasks have one choice named `CHOICES`; each task is a line of its own.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from product_classifier.catalogue.layout import CatalogueLayout, ProductColumns
from product_classifier.catalogue.tables.delimited import open_delimited
from product_classifier.catalogue.tables.json_lines import open_json_lines
from product_classifier.catalogue.tables.table import Table
from product_classifier.errors import CatalogueError, InvalidInput
from product_classifier.feedback.label_formats import LabelFormat
from product_classifier.limits import JSON_BYTES

COLUMNS = (
    "code", "label", "designation", "description", "image_sha256", "prediction_id", "comment", "feedback_id", "created",
    "user", "role", "state", "kind", "predicted", "confidence", "release",
)  # fmt: skip
READ_COLUMNS = COLUMNS[:7]
CHOICES = "category"
"""Name of the control of Label Studio that holds the category."""


class LabelRow(NamedTuple):
    """A row that was read: its number, its cells by column, and why it cannot be used."""

    number: int
    """Line of the file, or number of the task from 1."""
    cells: Mapping[str, str]
    problem: str = ""


def write_rows(rows: Iterator[Mapping[str, Any]], form: LabelFormat) -> Iterator[bytes]:
    """Yield a file of rows that have the members of `COLUMNS`, one part for each row."""
    if form == "csv":
        yield _csv_line(COLUMNS)
        yield from (_csv_line(["" if row[name] is None else row[name] for name in COLUMNS]) for row in rows)
    elif form == "jsonl":
        yield from (json.dumps(dict(row), ensure_ascii=False).encode() + b"\n" for row in rows)
    else:
        separator = b"[\n"
        for row in rows:
            yield separator + json.dumps(_task(row), ensure_ascii=False).encode()
            separator = b",\n"
        yield b"\n]\n" if separator == b",\n" else b"[]\n"


def read_rows(path: Path, form: LabelFormat) -> Iterator[LabelRow]:
    """Yield the rows of a file; a row that cannot be read has a problem.

    Raises:
        InvalidInput: If its encoding is not known, or it is empty, has no column `code`, or is no list of tasks.
    """
    if form == "label-studio":
        yield from _read_tasks(path)
        return
    try:
        yield from _read_columns(path, form)
    except CatalogueError as error:
        raise InvalidInput(f"file: {error}") from error


def _read_columns(path: Path, form: LabelFormat) -> Iterator[LabelRow]:
    layout = CatalogueLayout(products=["*"], columns=ProductColumns(category="code", designation="designation"))
    table = open_delimited(path, path.name, layout) if form == "csv" else open_json_lines(path, layout)
    names = [name.strip().casefold() for name in table.columns]
    if "code" not in names:
        raise InvalidInput(f"file: has the columns {', '.join(table.columns)[:200]}; name the one of categories 'code'")
    yield from _read_table(table, names)


def _read_table(table: Table, names: list[str]) -> Iterator[LabelRow]:
    for row in table.rows():
        cells = {name: cell for name, cell in zip(names, row.cells, strict=False) if name in READ_COLUMNS and cell}
        yield LabelRow(row.line, cells, row.problem)


def _csv_line(cells: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue().encode()


def _task(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as a task of Label Studio, with the category as its annotation."""
    data = {name: row[name] for name in COLUMNS if name not in {"code", "predicted", "confidence", "release"}}
    task: dict[str, Any] = {"data": data, "annotations": [{"result": [_choice(row["code"])], "ground_truth": False}]}
    if row["predicted"] is not None:
        task["predictions"] = [
            {"model_version": row["release"], "score": row["confidence"], "result": [_choice(row["predicted"])]}
        ]
    return task


def _choice(code: object) -> dict[str, Any]:
    value = {"choices": [str(code)]}
    return {"from_name": CHOICES, "to_name": "designation", "type": "choices", "value": value}


def _read_tasks(path: Path) -> Iterator[LabelRow]:
    for number, task in enumerate(_tasks(path), 1):
        if isinstance(task, str):
            yield LabelRow(number, {}, task)
            continue
        try:
            cells = {
                name: str(value) for name, value in task["data"].items() if name in READ_COLUMNS and value is not None
            }
            annotations = [one for one in task["annotations"] if not one.get("was_cancelled")]
            (choice,) = [one for one in annotations[-1]["result"] if one["type"] == "choices"]
            (cells["code"],) = map(str, choice["value"]["choices"])
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
            yield LabelRow(number, {}, "has no annotation with one choice; label the task")
        else:
            yield LabelRow(number, cells)


def _tasks(path: Path) -> Iterator[Any]:
    """Yield the tasks of a JSON list: one a line, as `write_rows` writes it, else of a file of bounded size."""
    with path.open("rb") as file:
        if file.readline().strip() == b"[":
            for line in file:
                text = line.strip().removesuffix(b",")
                if text not in {b"", b"]"}:
                    try:
                        yield json.loads(text)
                    except ValueError as error:
                        yield f"is not JSON: {error}"
            return
        file.seek(0)
        data = file.read(JSON_BYTES + 1)
    if len(data) > JSON_BYTES:
        raise InvalidInput(f"file: has more than {JSON_BYTES} bytes and not one task a line; split it")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"file: is not JSON: {str(error)[:100]}; export it from Label Studio as JSON") from error
    if not isinstance(found, list):
        raise InvalidInput("file: is not a list of tasks; export it from Label Studio as JSON")
    yield from found
