"""The raw files as one table of products, and everything that was refused on the way."""

import html
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from product_classifier.catalogue.encodings import repair
from product_classifier.catalogue.raw_files import INDEX, RawFiles, Row, find_files, read_rows
from product_classifier.errors import CatalogueError, InvalidImage
from product_classifier.taxonomy import BY_CODE

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is (0: not known)."""

_MARKUP: Final = re.compile(r"<[^<>]{0,2000}>")
_WORD: Final = re.compile(r"\w")
_SHOWN: Final = 60
_BATCH: Final = 64
_LARGEST_ID: Final = 2**63


class Product(NamedTuple):
    """One row of the catalogue."""

    product_id: int
    designation: str
    description: str
    image_path: str
    """Where the photo can be opened, seen from where the raw folder can; empty without one."""
    code: int
    line: int
    """Where the product stands in its raw file; the header is line 1."""
    image_sha256: str


COLUMNS: Final = Product._fields


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that cannot be used: where it is, which field is wrong, and why."""

    file: str
    line: int
    field: str
    value: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file} line {self.line}, {self.field} {self.value}: {self.reason}"


@dataclass(slots=True)
class _Reading:
    """What is known while the files are read."""

    files: RawFiles
    labels: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Code, and line in the label file, by row number."""
    rejected_labels: dict[int, Reject] = field(default_factory=dict)
    rejects: list[Reject] = field(default_factory=list)
    rows_seen: set[int] = field(default_factory=set)
    ids_seen: dict[int, int] = field(default_factory=dict)


def read_catalogue(
    folder: Path,
    *,
    check_photo: Callable[[bytes], object] | None = None,
    progress: Progress = lambda _what, _done, _total: None,
    jobs: int = 0,
) -> tuple[pd.DataFrame, list[Reject]]:
    """Read a raw folder of any accepted layout.

    Args:
        folder: Where the challenge's files are.
        check_photo: Raises InvalidImage for a photo that cannot be used; the models' own decoder by default.
        progress: Told how far reading and checking are.
        jobs: Threads that check photos; 0 for one per processor.

    Returns:
        The usable products as a table of `Product` rows, in the order of the file, and the rejected rows.
    """
    reading = _Reading(find_files(folder))
    _read_labels(reading)
    products = _read_products(reading, progress)
    frame = pd.DataFrame(products, columns=list(COLUMNS))
    frame = _check_photos(frame, reading, check_photo or _decode, progress, jobs or os.cpu_count() or 1)
    dtypes = {"product_id": "int64", "code": "int64", "line": "int64"}
    return frame.astype(dtypes), sorted(reading.rejects, key=lambda reject: (reject.file, reject.line))


def check_reject_share(rejects: Sequence[Reject], products: int, allowed: float) -> None:
    """Raise one clear error if a catalogue is empty or more than the allowed share of its rows was rejected."""
    rows = products + len(rejects)
    if products and len(rejects) <= allowed * rows:
        return
    reasons = Counter(re.sub(r"\d+", "#", reject.reason) for reject in rejects)
    first = {re.sub(r"\d+", "#", reject.reason): reject for reject in reversed(rejects)}
    listed = "; ".join(f"{count} × {first[reason]}" for reason, count in reasons.most_common(5))
    share = len(rejects) / max(rows, 1)
    raise CatalogueError(
        f"{len(rejects)} of {rows} rows ({share:.1%}) cannot be used, {allowed:.1%} are allowed; "
        f"of each kind the first: {listed or 'the file has no rows'}"
    )


def data_revision(frame: pd.DataFrame) -> str:
    """Return the digest of what a catalogue says, wherever its photos lie."""
    digest = sha256()
    for row in frame[["product_id", "code", "designation", "description", "image_sha256"]].itertuples(index=False):
        digest.update(repr(tuple(row)).encode("utf-8", errors="surrogatepass"))
    return digest.hexdigest()


def rejects_table(rejects: Sequence[Reject]) -> pd.DataFrame:
    """Return the rejected rows as a table for people: one line each."""
    names = ["file", "line", "field", "value", "reason"]
    return pd.DataFrame([[getattr(reject, name) for name in names] for reject in rejects], columns=names)


def has_words(text: str) -> bool:
    """Return whether a text says anything once markup and entities are gone."""
    return _WORD.search(_MARKUP.sub(" ", html.unescape(text))) is not None


def _read_labels(reading: _Reading) -> None:
    path = reading.files.labels
    for row in read_rows(path, ["prdtypecode"]):
        if row.problem:
            reading.rejects.append(_reject(path, row, INDEX, row.problem))
            continue
        index, code = _whole(row.fields[INDEX]), _whole(row.fields["prdtypecode"])
        if index is None or index in reading.labels or index in reading.rejected_labels:
            reason = "not a row number" if index is None else "row number given twice"
            reading.rejects.append(_reject(path, row, INDEX, reason))
        elif code in BY_CODE and code is not None:
            reading.labels[index] = code, row.line
        else:
            reason = "not a number" if code is None else "unknown category code"
            reading.rejected_labels[index] = _reject(path, row, "prdtypecode", reason)


def _read_products(reading: _Reading, progress: Progress) -> list[Product]:
    path = reading.files.products
    products, done = [], 0
    total = len(reading.labels) + len(reading.rejected_labels)
    for done, row in enumerate(read_rows(path, ["designation", "description", "productid", "imageid"]), 1):
        product = _product(reading, row)
        if isinstance(product, Reject):
            reading.rejects.append(product)
        else:
            products.append(product)
        if done % 1000 == 0:
            progress("read products", done, total)
    progress("read products", done, done)
    reading.rejects += [
        Reject(reading.files.labels.name, line, "row number", repr(index), "label without a product")
        for index, (_, line) in reading.labels.items()
        if index not in reading.rows_seen
    ]
    return products


def _product(reading: _Reading, row: Row) -> Product | Reject:
    path, index = reading.files.products, _whole(row.fields.get(INDEX, ""))
    if index is None or index in reading.rows_seen:
        reason = "not a row number" if index is None else "row number given twice"
        return _reject(path, row, INDEX, row.problem or reason)
    reading.rows_seen.add(index)
    if row.problem:
        return _reject(path, row, INDEX, row.problem)
    product_id, image_id = _whole(row.fields["productid"]), _whole(row.fields["imageid"])
    if product_id is None or image_id is None:
        return _reject(path, row, "productid" if product_id is None else "imageid", "not a number")
    if product_id in reading.ids_seen:
        return _reject(path, row, "productid", f"duplicate of line {reading.ids_seen[product_id]}")
    if index not in reading.labels:
        return reading.rejected_labels.get(index) or _reject(path, row, INDEX, "no label for this row")
    designation, description = (repair(row.fields[name]) for name in ("designation", "description"))
    photo = reading.files.photos.get(f"image_{image_id}_product_{product_id}")
    if photo is None and not has_words(designation) and not has_words(description):
        return _reject(path, row, "designation", "neither text nor photo")
    reading.ids_seen[product_id] = row.line
    image_path = photo.as_posix() if photo else ""
    return Product(product_id, designation, description, image_path, reading.labels[index][0], row.line, "")


def _check_photos(
    frame: pd.DataFrame, reading: _Reading, check: Callable[[bytes], object], progress: Progress, jobs: int
) -> pd.DataFrame:
    paths = [path for path in frame["image_path"] if path]
    batches = [paths[start : start + _BATCH] for start in range(0, len(paths), _BATCH)]
    found: dict[str, tuple[str, str]] = {}
    # Threads suffice: reading, hashing and decoding all release the interpreter.
    with ThreadPoolExecutor(jobs) as pool:
        for batch in pool.map(lambda batch: [(path, _digest(path, check)) for path in batch], batches):
            found.update(batch)
            progress("check photos", len(found), len(paths))
    checked = [found.get(path, ("", "")) for path in frame["image_path"]]
    frame["image_sha256"] = [digest for digest, _ in checked]
    good = np.array([not problem for _, problem in checked], bool)
    for row, (_, problem) in zip(frame.itertuples(), checked, strict=True):
        if problem:
            value = _shown(Path(str(row.image_path)).name)
            reading.rejects.append(Reject(reading.files.products.name, int(str(row.line)), "imageid", value, problem))
    return frame[good].reset_index(drop=True)


def _digest(path: str, check: Callable[[bytes], object]) -> tuple[str, str]:
    try:
        data = Path(path).read_bytes()
        check(data)
    except InvalidImage as error:
        return "", f"undecodable photo: {error}"
    except OSError as error:
        return "", f"unreadable photo: {error.strerror}"
    return sha256(data).hexdigest(), ""


def _decode(data: bytes) -> object:
    from product_classifier.images import decoding  # noqa: PLC0415 - the simulation reads catalogues without image libraries

    return decoding.decode(data)


def _whole(text: str) -> int | None:
    """Return a whole number, also when a spreadsheet wrote it as "10.0"."""
    matched = re.fullmatch(r"\s*(\d{1,19})(?:\.0*)?\s*", text, re.ASCII)
    number = int(matched[1]) if matched else _LARGEST_ID
    return number if number < _LARGEST_ID else None


def _reject(path: Path, row: Row, name: str, reason: str) -> Reject:
    return Reject(path.name, row.line, name or "row number", _shown(row.fields.get(name, "")), reason)


def _shown(value: str) -> str:
    return repr(value if len(value) <= _SHOWN else value[:_SHOWN] + "…")
