"""Rows of the index of corrections: conversion of records, ids, times and products."""

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from product_classifier.feedback.records import Correction, ProductContent, Review, Revision, Role
from product_classifier.feedback.trust import LastDecision, State, agreement_key, product_key
from product_classifier.limits import LISTED_CHARACTERS
from product_classifier.taxonomy.version_history import Reading
from product_classifier.text import spelling

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
UNREAD_CONFIDENCE, UNKNOWN_CONFIDENCE = 2.0, 3.0
"""Stored in place of the confidence of a prediction: it has not been read yet, or there is none."""
SELECT_CORRECTIONS = (
    "SELECT c.id, c.created, c.user, c.role, c.code, c.predicted, c.release, c.comment, c.prediction_id, "
    "c.designation, c.description, c.image_sha256, c.state, c.decision, c.decision_user, c.decision_created, "
    "c.replacement, c.confidence, c.taxonomy_version, c.predicted_version, c.read_code, c.decided, c.is_confirmation, "
    "c.agreement_key FROM corrections c"
)
"""Query of the rows that `correction_of` takes; a condition on `status` follows."""
FeedbackRecord = Correction | Review | Revision
"""Objects under `feedback/`."""
SAMPLE_PRODUCTS = (
    ProductContent(designation="Chemise  BLEUE", description="<p>Coton&nbsp;&eacute;pais, taille n°38</p>"),
    ProductContent(designation="e\u0301te\u0301 ﬁn ΑΣ ß İ", description="1.234,50 € l'été; \u200bmots-clés"),
    ProductContent(designation="", description="a" * 600 + " " + "mot " * 100, image_sha256="0" * 64),
    ProductContent(image_sha256="f" * 64),
)
"""Products whose keys reveal a change of the keys for which nobody changed the version."""


@dataclass(frozen=True, slots=True)
class IndexedCorrection:
    """A correction with its state and review; long texts of the product are cut, see `LISTED_CHARACTERS`."""

    feedback_id: str
    created: datetime
    user: str
    role: Role
    code: str
    predicted: str | None
    release: str | None
    comment: str
    prediction_id: str | None
    product: ProductContent | None
    is_cut: bool
    state: State
    decision: LastDecision | None
    """The last decision about it, None if it was taken back."""
    confidence: float | None
    """Confidence of the prediction; None without a prediction, or before it was read."""
    taxonomy_version: int | None
    """Version of the taxonomy that `code` is of; None is the first."""
    predicted_version: int | None
    reading: Reading
    """`code` in the newest version of the taxonomy."""
    is_confirmation: bool
    """Whether it names the category that was predicted."""
    agreement_key: bytes | None
    """Group of the corrections of its product, None without a product."""


class PreparedRecord(NamedTuple):
    """An object that was read, and what is computed of it.

    Without a record, `reason` is why the object is damaged, "" if it is missing.
    """

    key: str
    record: FeedbackRecord | None
    reason: str
    created: int = 0
    product_key: bytes | None = None
    agreement_key: bytes | None = None
    confidence: float = UNREAD_CONFIDENCE


def prepare(record: FeedbackRecord, key: str, confidence: float = UNREAD_CONFIDENCE) -> PreparedRecord:
    """Compute what the index stores of a record; raise `OverflowError` if its time cannot be stored.

    Args:
        record: A correction, review or revision.
        key: Key of its object.
        confidence: Confidence of the prediction that a correction is about, if it has been read.
    """
    if isinstance(record, Correction) and record.prediction_id is None:
        confidence = UNKNOWN_CONFIDENCE
    created = to_microseconds(record.created)
    to_datetime(created)  # a time zone may move it out of the range
    if isinstance(record, Correction) and record.product is not None:
        return PreparedRecord(key, record, "", created, *product_keys(record.product), confidence)
    return PreparedRecord(key, record, "", created, confidence=confidence)


def correction_of(row: Sequence[Any]) -> IndexedCorrection:
    """Return the correction in a row of `SELECT_CORRECTIONS`."""
    identifier, created, user, role, code, predicted, release, comment, prediction_id = row[:9]
    product, is_cut = product_of(*row[9:12])
    state, decision, decision_user, decision_created, replacement, confidence, version, predicted_version = row[12:20]
    read_code, decided, is_confirmation, agreement = row[20:]
    last = None
    if decision is not None:
        other = None if replacement is None else to_text(replacement)
        last = LastDecision(to_datetime(decision_created), decision_user, decision, other)
    return IndexedCorrection(
        to_text(identifier),
        to_datetime(created),
        user,
        role,
        code,
        predicted,
        release,
        comment,
        None if prediction_id is None else to_text(prediction_id),
        product,
        is_cut,
        state,
        last,
        confidence if confidence < UNREAD_CONFIDENCE else None,
        version,
        predicted_version,
        Reading(read_code, bool(decided)),
        bool(is_confirmation),
        agreement,
    )


def product_of(
    designation: str | None, description: str | None, image_sha256: str | None
) -> tuple[ProductContent | None, bool]:
    """Return a stored product, None if there is none, and whether a text of it is cut."""
    if not (designation or description or image_sha256):
        return None, False
    texts = [text or "" for text in (designation, description)]
    is_cut = any(len(text) > LISTED_CHARACTERS for text in texts)
    shown = [f"{text[:LISTED_CHARACTERS]}…" if len(text) > LISTED_CHARACTERS else text for text in texts]
    return ProductContent.model_construct(designation=shown[0], description=shown[1], image_sha256=image_sha256), is_cut


def cut_texts(product: ProductContent) -> tuple[str, str]:
    """Return the texts of a product as stored in the index: at most one character more than is shown."""
    return product.designation[: LISTED_CHARACTERS + 1], product.description[: LISTED_CHARACTERS + 1]


def product_keys(product: ProductContent) -> tuple[bytes, bytes]:
    """Return the key of a product and that of all its spellings."""
    return bytes.fromhex(product_key(product)), bytes.fromhex(agreement_key(product))


@cache
def content_version() -> str:
    """Return a text that differs if product keys of the stored rows would be others."""
    keys = [key(product) for product in SAMPLE_PRODUCTS for key in (product_key, agreement_key)]
    text = "\n".join([str(spelling.VERSION), str(LISTED_CHARACTERS), *keys])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def to_microseconds(moment: datetime) -> int:
    """Return a time as stored in the index."""
    return (moment - EPOCH) // MICROSECOND


def to_datetime(microseconds: int) -> datetime:
    """Return the time that `to_microseconds` converted."""
    return EPOCH + timedelta(microseconds=microseconds)


def to_blob(identifier: str) -> bytes:
    """Return an id as stored in the index."""
    return uuid.UUID(identifier).bytes


def to_text(identifier: bytes) -> str:
    """Return the id that `to_blob` converted."""
    return str(uuid.UUID(bytes=identifier))
