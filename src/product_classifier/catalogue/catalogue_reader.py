"""Read the raw files into one table of products and a list of rejected rows."""

import os
import re
from collections import Counter
from collections.abc import Callable, Container, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from product_classifier.catalogue.encodings import repair
from product_classifier.catalogue.raw_files import INDEX, RawFiles, RawRow, find_files, read_rows
from product_classifier.errors import CatalogueError, InvalidImage
from product_classifier.images.headers import cut, read_header
from product_classifier.text.normalization import has_words

Progress = Callable[[str, int, int], None]
"""Called with the name of the task, the number of items done, and the total (0 if unknown)."""

_SHOWN_CHARACTERS: Final = 60
_BATCH: Final = 64
_MAX_ID: Final = 2**63


class CatalogueRow(NamedTuple):
    """One row of the catalogue table."""

    product_id: int
    designation: str
    description: str
    image_path: str
    """Path of the photo relative to the raw folder; empty without a photo."""
    code: int
    line: int
    """Line of the product in its raw file; the header is line 1."""
    image_sha256: str


COLUMNS: Final = CatalogueRow._fields


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that cannot be used: its file, line, field and value, and the reason."""

    file: str
    line: int
    field: str
    value: str
    reason: str
    product_kept: bool = False
    """Whether the product is used without its photo."""

    def __str__(self) -> str:
        return f"{self.file} line {self.line}, {self.field} {self.value}: {self.reason}"


@dataclass(slots=True)
class _Reader:
    """State while the raw files are read."""

    folder: Path
    files: RawFiles
    codes: Container[int]
    labels: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Category code and line in the label file, by row number."""
    rejected_labels: dict[int, RejectedRow] = field(default_factory=dict)
    rejects: list[RejectedRow] = field(default_factory=list)
    rows_seen: set[int] = field(default_factory=set)
    ids_seen: dict[int, int] = field(default_factory=dict)


def read_catalogue(
    folder: Path,
    codes: Container[int],
    *,
    check_photo: Callable[[bytes], bytes] | None = None,
    progress: Progress = lambda _task, _done, _total: None,
    jobs: int = 0,
) -> tuple[pd.DataFrame, list[RejectedRow]]:
    """Read a raw folder of any accepted layout.

    Args:
        folder: Folder with the raw files.
        codes: Known category codes, for example a `Taxonomy`; a row with another code is rejected.
        check_photo: Returns the bytes of the picture or raises `InvalidImage`; by default the decoder of the models.
        progress: Called while rows are read and photos are checked.
        jobs: Threads that check photos; 0 for one per processor.

    Returns:
        The usable products as a table with the columns of `CatalogueRow`, in the order of the file, and the rejected
        rows, sorted by file and line. A photo that cannot be used costs the photo: its product is kept if it has text,
        and is in both.

    Raises:
        CatalogueError: If a file or a column is missing.
    """
    reader = _Reader(folder, find_files(folder), codes)
    _read_labels(reader)
    products = _read_products(reader, progress)
    frame = pd.DataFrame(products, columns=list(COLUMNS))
    frame = _check_photos(frame, reader, check_photo or _decode, progress, jobs or os.cpu_count() or 1)
    dtypes = {"product_id": "int64", "code": "int64", "line": "int64"}
    return frame.astype(dtypes), sorted(reader.rejects, key=lambda reject: (reject.file, reject.line))


def check_reject_share(rejects: Sequence[RejectedRow], products: int, allowed: float) -> None:
    """Raise `CatalogueError` without products, or if the share of rejects exceeds `allowed` (0 to 1)."""
    rejects = [reject for reject in rejects if not reject.product_kept]
    rows = products + len(rejects)
    if products and len(rejects) <= allowed * rows:
        return
    reasons = Counter(re.sub(r"\d+", "#", reject.reason) for reject in rejects)
    first = {re.sub(r"\d+", "#", reject.reason): reject for reject in reversed(rejects)}
    listed = "; ".join(f"{count} × {first[reason]}" for reason, count in reasons.most_common(5))
    share = len(rejects) / max(rows, 1)
    raise CatalogueError(
        f"{len(rejects)} of {rows} rows ({share:.1%}) cannot be used, {allowed:.1%} are allowed; "
        f"first of each reason: {listed or 'the file has no rows'}"
    )


def data_revision(frame: pd.DataFrame) -> str:
    """Return the SHA-256 of the content of a catalogue; paths of photos do not count."""
    digest = sha256()
    for row in frame[["product_id", "code", "designation", "description", "image_sha256"]].itertuples(index=False):
        digest.update(repr(tuple(row)).encode("utf-8", errors="surrogatepass"))
    return digest.hexdigest()


def rejects_table(rejects: Sequence[RejectedRow]) -> pd.DataFrame:
    """Return the rejected rows as a table with one row each."""
    names = ["file", "line", "field", "value", "reason"]
    return pd.DataFrame([[getattr(reject, name) for name in names] for reject in rejects], columns=names)


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
        elif code is not None and code in reader.codes:
            reader.labels[index] = code, row.line
        else:
            reason = "not a number" if code is None else "unknown category code"
            reader.rejected_labels[index] = _reject(path, row, "prdtypecode", reason)


def _read_products(reader: _Reader, progress: Progress) -> list[CatalogueRow]:
    path = reader.files.products
    products, done = [], 0
    total = len(reader.labels) + len(reader.rejected_labels)
    for done, row in enumerate(read_rows(path, ["designation", "description", "productid", "imageid"]), 1):
        product = _product_or_reject(reader, row)
        if isinstance(product, RejectedRow):
            reader.rejects.append(product)
        else:
            products.append(product)
        if done % 1000 == 0:
            progress("read products", done, total)
    progress("read products", done, done)
    reader.rejects += [
        RejectedRow(reader.files.labels.name, line, "row number", repr(index), "label without a product")
        for index, (_, line) in reader.labels.items()
        if index not in reader.rows_seen
    ]
    return products


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
    return CatalogueRow(product_id, designation, description, image_path, reader.labels[index][0], row.line, "")


def _check_photos(
    frame: pd.DataFrame, reader: _Reader, check: Callable[[bytes], bytes], progress: Progress, jobs: int
) -> pd.DataFrame:
    paths = [path for path in frame["image_path"] if path]
    batches = [paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)]
    found: dict[str, tuple[str, str]] = {}
    # Threads suffice: reading, hashing and decoding release the global interpreter lock.
    with ThreadPoolExecutor(jobs) as pool:
        for batch in pool.map(
            lambda batch: [(path, _check_photo(reader.folder / path, check)) for path in batch], batches
        ):
            found.update(batch)
            progress("check photos", len(found), len(paths))
    checked = [found.get(path, ("", "")) for path in frame["image_path"]]
    frame["image_sha256"] = [digest for digest, _ in checked]
    valid = np.ones(len(frame), bool)
    for at, (row, (_, problem)) in enumerate(zip(frame.itertuples(), checked, strict=True)):
        if problem:
            value = _shorten(Path(str(row.image_path)).name)
            valid[at] = has_words(str(row.designation), str(row.description))
            reader.rejects.append(
                RejectedRow(
                    reader.files.products.name,
                    int(str(row.line)),
                    "imageid",
                    value,
                    problem,
                    product_kept=bool(valid[at]),
                )
            )
    frame.loc[[bool(problem) for _, problem in checked], "image_path"] = ""
    return frame[valid].reset_index(drop=True)


def _check_photo(path: Path, check: Callable[[bytes], bytes]) -> tuple[str, str]:
    """Return the SHA-256 of a photo and an empty reason, or an empty hash and the reason it cannot be used."""
    try:
        data = check(path.read_bytes())
    except InvalidImage as error:
        return "", f"undecodable photo: {error}"
    except OSError as error:
        return "", f"unreadable photo: {error.strerror}"
    return sha256(data).hexdigest(), ""


def _decode(data: bytes) -> bytes:
    """Return the bytes of a picture that can be decoded: what services store and hash, too."""
    from product_classifier.images import decoding  # noqa: PLC0415 - the simulation reads catalogues without image libraries

    info = read_header(data)
    decoding.decode(data, info=info)
    return cut(data, info)


def _parse_integer(text: str) -> int | None:
    """Parse an integer, also in the form "10.0" that spreadsheets write."""
    matched = re.fullmatch(r"\s*(\d{1,19})(?:\.0*)?\s*", text, re.ASCII)
    number = int(matched[1]) if matched else _MAX_ID
    return number if number < _MAX_ID else None


def _reject(path: Path, row: RawRow, name: str, reason: str) -> RejectedRow:
    return RejectedRow(path.name, row.line, name or "row number", _shorten(row.fields.get(name, "")), reason)


def _shorten(value: str) -> str:
    return repr(value if len(value) <= _SHOWN_CHARACTERS else value[:_SHOWN_CHARACTERS] + "…")
