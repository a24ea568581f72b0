"""Tables and rows of the index of predictions."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from product_classifier.decisions import Decision
from product_classifier.feedback.index_rows import cut_texts, product_of, to_datetime, to_microseconds, to_text
from product_classifier.feedback.records import CategoryProbability, Modalities, PredictionRecord, ProductContent
from product_classifier.feedback.search_terms import TOKENIZER

SCHEMA_VERSION = 1
NUMBER_BITS = 15
"""Bits of a row number below the milliseconds of its id: up to 32,768 predictions of one millisecond."""

SCHEMA = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
-- Numbers are in the order of time. An id that was listed has status 0 until its object is read (1) or damaged (2).
CREATE TABLE predictions (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    status INTEGER NOT NULL DEFAULT 0,
    created INTEGER, user TEXT, code TEXT, taxonomy_version INTEGER, confidence REAL, decision TEXT, release TEXT,
    designation TEXT, description TEXT, image_sha256 TEXT, models_differ INTEGER, details TEXT,
    labelled INTEGER NOT NULL DEFAULT 0  -- whether a correction of it was found
);
CREATE INDEX predictions_unread ON predictions (number) WHERE status = 0;
CREATE INDEX predictions_user ON predictions (user, number) WHERE status = 1;
CREATE INDEX predictions_code ON predictions (code, number) WHERE status = 1;
CREATE INDEX predictions_user_code ON predictions (user, code, number) WHERE status = 1;
CREATE INDEX predictions_decision ON predictions (decision, number) WHERE status = 1;
CREATE INDEX predictions_release ON predictions (release, number) WHERE status = 1;
CREATE INDEX predictions_confidence ON predictions (confidence, number) WHERE status = 1 AND labelled = 0;
CREATE INDEX predictions_differing ON predictions (number) WHERE status = 1 AND labelled = 0 AND models_differ = 1;
CREATE INDEX predictions_photo ON predictions (image_sha256, user) WHERE status = 1 AND image_sha256 IS NOT NULL;
CREATE TABLE codes (code TEXT, taxonomy_version INTEGER NOT NULL, PRIMARY KEY (code, taxonomy_version)) WITHOUT ROWID;
CREATE TABLE damaged (key TEXT PRIMARY KEY, reason TEXT NOT NULL) WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5(text, content='', tokenize="{TOKENIZER}");
"""
SELECT_PREDICTIONS = (
    "SELECT p.id, p.created, p.user, p.designation, p.description, p.image_sha256, p.code, p.taxonomy_version, "
    "p.confidence, p.decision, p.release, p.details FROM predictions p"
)
"""Query of the rows that `prediction_of` takes; a condition on `status` follows."""


@dataclass(frozen=True, slots=True)
class IndexedPrediction:
    """A prediction; long texts of the product are cut, see `LISTED_CHARACTERS`."""

    prediction_id: str
    created: datetime
    user: str
    product: ProductContent
    is_cut: bool
    code: str
    taxonomy_version: int | None
    """Version of the taxonomy that all codes are of; None is the first."""
    confidence: float
    decision: Decision | None
    release: str
    top: tuple[CategoryProbability, ...]
    modalities: Modalities
    degraded: bool


def prediction_of(row: Sequence[Any]) -> IndexedPrediction:
    """Return the prediction in a row of `SELECT_PREDICTIONS`."""
    identifier, created, user, designation, description, image_sha256, code, version = row[:8]
    confidence, decision, release, details = row[8:]
    product, is_cut = product_of(designation, description, image_sha256)
    found = json.loads(details)
    return IndexedPrediction(
        to_text(identifier),
        to_datetime(created),
        user,
        product or ProductContent.model_construct(),
        is_cut,
        code,
        version,
        confidence,
        decision,
        release,
        tuple(CategoryProbability.model_validate(one) for one in found["top"]),
        Modalities.model_validate(found["modalities"]),
        found["degraded"],
    )


def indexed(record: PredictionRecord) -> IndexedPrediction:
    """Return a record as `prediction_of` does, its texts whole."""
    return IndexedPrediction(
        record.prediction_id,
        record.created,
        record.user,
        record.product,
        False,
        record.code,
        record.taxonomy_version,
        record.confidence,
        record.decision,
        record.release,
        record.top,
        record.modalities,
        record.degraded,
    )


def columns_of(record: PredictionRecord) -> tuple[object, ...]:
    """Return the values of `created` to `details`; raise `OverflowError` for a time out of range."""
    text, image = record.modalities.text, record.modalities.image
    details = record.model_dump_json(include={"top", "modalities", "degraded"})
    created = to_microseconds(record.created)
    to_datetime(created)
    return (
        created,
        record.user,
        record.code,
        record.taxonomy_version,
        record.confidence,
        record.decision,
        record.release,
        *cut_texts(record.product),
        record.product.image_sha256,
        text is not None and image is not None and text.code != image.code,
        details,
    )


def first_number(identifier: bytes) -> int:
    """Return the row number of an id; if another id has it, a following one is free."""
    random = int.from_bytes(identifier[-2:], "big") >> 1
    return int.from_bytes(identifier[:6], "big") << NUMBER_BITS | random


def number_from(moment: datetime) -> int:
    """Return the least number of the predictions from a moment on."""
    return max(0, to_microseconds(moment) // 1000) << NUMBER_BITS
