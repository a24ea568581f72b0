"""Immutable snapshots of trusted corrections; equal sets have equal bytes and one key."""

import tempfile
from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import AwareDatetime, Field

from product_classifier.errors import InvalidInput, StoreUnavailable
from product_classifier.feedback.records import ProductContent, Record
from product_classifier.feedback.trust import Label
from product_classifier.retraining.run_records import manifest_key
from product_classifier.store import ObjectStore, content_addressed
from product_classifier.taxonomy.stored_codes import StoredCode


class SnapshotItem(Record):
    """A product with its trusted category."""

    feedback_id: str
    product_key: str
    product: ProductContent
    code: StoredCode
    since: AwareDatetime
    reason: str
    taxonomy_version: int | None = Field(default=None, ge=1, exclude_if=lambda version: version is None)
    """Version of the taxonomy that `code` is of; None is the first."""

    @property
    def fingerprint(self) -> str:
        """Identity of product and category, see `Label.fingerprint`."""
        return f"{self.product_key}:{self.code}"


class Snapshot(Record):
    """The content of `datasets/<sha256>/manifest.json`."""

    format: Literal[1] = 1
    corrections: tuple[SnapshotItem, ...]


HEAD, SEPARATOR, TAIL = b'{"format":1,"corrections":[', b",", b"]}"
"""A snapshot is written and read item by item: its bytes are those of `Snapshot.to_json`."""
ITEM_BOUNDARY = b'},{"feedback_id":'
"""Within a JSON string the quotation mark would be escaped."""


def write_snapshot(store: ObjectStore, labels: Iterable[Label]) -> str:
    """Write a snapshot unless it exists; return its SHA-256. Of labels of one product it has the newest."""
    return write_sorted_snapshot(
        store, sorted(labels, key=lambda label: (label.product_key, label.since, label.feedback_id))
    )


def write_sorted_snapshot(store: ObjectStore, labels: Iterable[Label]) -> str:
    """Write a snapshot of labels sorted by product key, then the newest last; return its SHA-256.

    Its bytes are in memory once, its items one at a time.
    """
    with tempfile.TemporaryFile() as file:
        file.write(HEAD)
        for number, label in enumerate(_newest(labels)):
            file.write((SEPARATOR if number else b"") + _item(label).to_json())
        file.write(TAIL)
        file.seek(0)
        return content_addressed.write(store, manifest_key, file.read())


def read_items(store: ObjectStore, sha256: str) -> Iterator[SnapshotItem]:
    """Yield the items of a snapshot one by one.

    Raises:
        InvalidInput: If the content does not match the hash or an item cannot be parsed.
        ObjectNotFound: If there is no such snapshot.
    """
    key = manifest_key(sha256)
    data = content_addressed.read(store, key, sha256)
    if not (data.startswith(HEAD) and data.endswith(TAIL)):
        yield from read_snapshot(store, sha256).corrections  # not written by this product
        return
    begin, end = len(HEAD), len(data) - len(TAIL)
    while begin < end:
        boundary = data.find(ITEM_BOUNDARY, begin, end)
        item_end = end if boundary < 0 else boundary + 1
        try:
            yield SnapshotItem.from_json(data[begin:item_end], key)
        except StoreUnavailable as error:
            raise InvalidInput(str(error)) from error
        begin = item_end + len(SEPARATOR)


def read_snapshot(store: ObjectStore, sha256: str) -> Snapshot:
    """Read a snapshot.

    Raises:
        InvalidInput: If the content does not match the hash or cannot be parsed.
        ObjectNotFound: If there is no such snapshot.
    """
    key = manifest_key(sha256)
    data = content_addressed.read(store, key, sha256)
    try:
        return Snapshot.from_json(data, key)
    except StoreUnavailable as error:
        raise InvalidInput(str(error)) from error


def _newest(labels: Iterable[Label]) -> Iterator[Label]:
    """Yield the last one of each run of labels with the same product key."""
    last: Label | None = None
    for label in labels:
        if last is not None and last.product_key != label.product_key:
            yield last
        last = label
    if last is not None:
        yield last


def _item(label: Label) -> SnapshotItem:
    return SnapshotItem(
        feedback_id=label.feedback_id,
        product_key=label.product_key,
        product=label.product,
        code=label.code,
        since=label.since,
        reason=label.reason,
        taxonomy_version=label.taxonomy_version,
    )
