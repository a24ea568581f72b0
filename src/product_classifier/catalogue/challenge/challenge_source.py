"""Read the files of the Rakuten challenge: products and labels are joined by row number."""

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from product_classifier.catalogue.catalogue_rows import CatalogueRow, Progress, RejectedRow, shorten
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.catalogue.challenge.challenge_files import (
    INDEX,
    PRODUCT_COLUMNS,
    RawFiles,
    RawRow,
    find_files,
    read_rows,
)
from product_classifier.taxonomy import Taxonomy
from product_classifier.text.mojibake import repair
from product_classifier.text.normalization import has_words

_MAX_ID: Final = 2**63


class ChallengeSource:
    """The products of a folder in the layout of the challenge."""

    photo_field = "imageid"

    def __init__(self, folder: Path) -> None:
        """Locate the files; raise `CatalogueError` if one is missing. Rows with codes of no category are rejected."""
        self._folder = folder
        self._files = find_files(folder)

    def rows(self, progress: Progress = lambda _task, _done, _total: None) -> Iterator[CatalogueRow | RejectedRow]:
        """Yield each product and each rejected row; photos are located, not read."""
        reader = _Reader(self._folder, self._files, CHALLENGE)
        _read_labels(reader)
        yield from _read_products(reader, progress)
        yield from reader.rejects

    def taxonomy(self) -> Taxonomy:
        """Return the categories of the challenge, all of which are answerable."""
        return CHALLENGE


@dataclass(slots=True)
class _Reader:
    """State while the files are read."""

    folder: Path
    files: RawFiles
    codes: Container[str]
    labels: dict[int, tuple[str, int]] = field(default_factory=dict)
    """Category code and line in the label file, by row number."""
    rejected_labels: dict[int, RejectedRow] = field(default_factory=dict)
    rejects: list[RejectedRow] = field(default_factory=list)
    rows_seen: set[int] = field(default_factory=set)
    ids_seen: dict[int, int] = field(default_factory=dict)


def _read_labels(reader: _Reader) -> None:
    path = reader.files.labels
    for row in read_rows(path, ["prdtypecode"]):
        if row.problem:
            reader.rejects.append(_reject(path, row, INDEX, row.problem))
            continue
        index, code = _parse_integer(row.fields[INDEX]), _parse_integer(row.fields["prdtypecode"])
        if index is None or index in reader.labels or index in reader.rejected_labels:
            reason = "not a row number" if index is None else "row number given twice"
            reader.rejects.append(_reject(path, row, INDEX, reason))
        elif code is not None and str(code) in reader.codes:
            reader.labels[index] = str(code), row.line
        else:
            reason = "not a number" if code is None else "unknown category code"
            reader.rejected_labels[index] = _reject(path, row, "prdtypecode", reason)


def _read_products(reader: _Reader, progress: Progress) -> Iterator[CatalogueRow | RejectedRow]:
    done = 0
    total = len(reader.labels) + len(reader.rejected_labels)
    for done, row in enumerate(read_rows(reader.files.products, PRODUCT_COLUMNS), 1):
        yield _product_or_reject(reader, row)
        if done % 1000 == 0:
            progress("read products", done, total)
    progress("read products", done, done)
    reader.rejects += [
        RejectedRow(reader.files.labels.name, line, "row number", repr(index), "label without a product")
        for index, (_, line) in reader.labels.items()
        if index not in reader.rows_seen
    ]


def _product_or_reject(reader: _Reader, row: RawRow) -> CatalogueRow | RejectedRow:
    try:
        return _parse_product(reader, row)
    except Exception as error:  # noqa: BLE001 - one row never fails a catalogue
        return _reject(reader.files.products, row, "designation", f"cannot be read: {type(error).__name__}")


def _parse_product(reader: _Reader, row: RawRow) -> CatalogueRow | RejectedRow:
    path, index = reader.files.products, _parse_integer(row.fields.get(INDEX, ""))
    if index is None or index in reader.rows_seen:
        reason = "not a row number" if index is None else "row number given twice"
        return _reject(path, row, INDEX, row.problem or reason)
    reader.rows_seen.add(index)
    if row.problem:
        return _reject(path, row, INDEX, row.problem)
    product_id, image_id = _parse_integer(row.fields["productid"]), _parse_integer(row.fields["imageid"])
    if product_id is None or image_id is None:
        return _reject(path, row, "productid" if product_id is None else "imageid", "not a number")
    if product_id in reader.ids_seen:
        return _reject(path, row, "productid", f"duplicate of line {reader.ids_seen[product_id]}")
    if index not in reader.labels:
        return reader.rejected_labels.get(index) or _reject(path, row, INDEX, "no label for this row")
    designation, description = (repair(row.fields[name]) for name in ("designation", "description"))
    photo = reader.files.photos.get(f"image_{image_id}_product_{product_id}")
    if photo is None and not has_words(designation, description):
        return _reject(path, row, "designation", "neither text nor photo")
    reader.ids_seen[product_id] = row.line
    image_path = photo.relative_to(reader.folder).as_posix() if photo else ""
    return CatalogueRow(
        product_id, designation, description, image_path, reader.labels[index][0], row.line, file=path.name
    )


def _parse_integer(text: str) -> int | None:
    """Parse an integer, also in the form "10.0" that spreadsheets write."""
    matched = re.fullmatch(r"\s*(\d{1,19})(?:\.0*)?\s*", text, re.ASCII)
    number = int(matched[1]) if matched else _MAX_ID
    return number if number < _MAX_ID else None


def _reject(path: Path, row: RawRow, name: str, reason: str) -> RejectedRow:
    return RejectedRow(path.name, row.line, name or "row number", shorten(row.fields.get(name, "")), reason)
