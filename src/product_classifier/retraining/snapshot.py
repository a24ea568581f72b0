"""Immutable snapshots of trusted corrections; equal sets have equal bytes and one key."""

from collections.abc import Iterable
from typing import Literal

from pydantic import AwareDatetime

from product_classifier.errors import InvalidInput, StoreUnavailable
from product_classifier.feedback.records import ProductContent, Record
from product_classifier.feedback.trust import Label
from product_classifier.retraining.run_records import manifest_key
from product_classifier.store import ObjectStore, content_addressed


class SnapshotItem(Record):
    """A product with its trusted category."""

    feedback_id: str
    product_key: str
    product: ProductContent
    code: int
    since: AwareDatetime
    reason: str

    @property
    def fingerprint(self) -> str:
        """Identity of product and category, see `Label.fingerprint`."""
        return f"{self.product_key}:{self.code}"


class Snapshot(Record):
    """The content of `datasets/<sha256>/manifest.json`."""

    format: Literal[1] = 1
    corrections: tuple[SnapshotItem, ...]


def write_snapshot(store: ObjectStore, labels: Iterable[Label]) -> str:
    """Write a snapshot unless it exists; return its SHA-256. Of labels of one product it has the newest."""
    newest = {label.product_key: label for label in sorted(labels, key=lambda label: (label.since, label.feedback_id))}
    items = tuple(_item(newest[key]) for key in sorted(newest))
    return content_addressed.write(store, manifest_key, Snapshot(corrections=items).to_json())


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


def _item(label: Label) -> SnapshotItem:
    return SnapshotItem(
        feedback_id=label.feedback_id,
        product_key=label.product_key,
        product=label.product,
        code=label.code,
        since=label.since,
        reason=label.reason,
    )
