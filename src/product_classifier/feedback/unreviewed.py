"""Stored predictions without a correction, read one after the other."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from itertools import islice
from typing import Final, TypeVar

from product_classifier.catalogue.content_keys import content_keys
from product_classifier.errors import ObjectNotFound, StoreUnavailable
from product_classifier.feedback.records import (
    PREDICTIONS_PREFIX,
    Correction,
    PredictionRecord,
    ProductContent,
    Record,
    is_correction_key,
)
from product_classifier.feedback.review_queue import QueuedPrediction
from product_classifier.observability import get_logger
from product_classifier.store import ObjectStore
from product_classifier.store.object_keys import FEEDBACK_PREFIX, LOGS_PREFIX
from product_classifier.text.normalization import normalize

READERS: Final = 8
BATCH: Final = 256
"""Objects that are read at once: the memory that reading takes does not depend on how many there are."""

log = get_logger()
R = TypeVar("R", bound=Record)


def unreviewed_predictions(store: ObjectStore, since: date) -> Iterator[QueuedPrediction]:
    """Yield the predictions from a day (UTC) on that have no correction, of them or of the same content.

    Memory grows with the corrections from that day on, and with the ids of the predictions. Damaged records are
    logged and left out.

    Raises:
        StoreUnavailable: If the store cannot be reached.
    """
    ids: set[str] = set()
    keys: set[str] = set()
    for correction in _read(store, FEEDBACK_PREFIX, since, Correction):
        if correction.prediction_id:
            ids.add(correction.prediction_id)
        if correction.product:
            keys.update(_keys(correction.product))
    for record in _predictions(store, since):
        content = _keys(record.product)
        if record.prediction_id not in ids and keys.isdisjoint(content):
            text = normalize(record.product.designation, record.product.description)
            yield QueuedPrediction(record.prediction_id, record.confidence, record.code, content, text)


def _predictions(store: ObjectStore, since: date) -> Iterator[PredictionRecord]:
    """Yield the small objects, then what only the prediction log still has."""
    listed: set[str] = set()
    for record in _read(store, PREDICTIONS_PREFIX, since, PredictionRecord):
        listed.add(record.prediction_id)
        yield record
    if next(iter(store.list(f"{LOGS_PREFIX}dt=", start_after=f"{LOGS_PREFIX}dt={since.isoformat()}")), None):
        from product_classifier.feedback.prediction_log.log_reader import read_records  # noqa: PLC0415 - imports Arrow

        for logged in read_records(store, since, "prediction"):
            if isinstance(logged, PredictionRecord) and logged.prediction_id not in listed:
                yield logged


def _keys(product: ProductContent) -> tuple[str, ...]:
    return content_keys(product.designation, product.description, product.image_sha256 or "")


def _read(store: ObjectStore, prefix: str, since: date, kind: type[R]) -> Iterator[R]:
    """Yield the records below a prefix with a key from a day on, in the order of their keys."""
    listed = (key for key in store.list(prefix, start_after=f"{prefix}dt={since.isoformat()}"))
    names = (key for key in listed if is_correction_key(key))
    with ThreadPoolExecutor(READERS) as pool:
        while batch := list(islice(names, BATCH)):
            for record in pool.map(lambda key: _parsed(store, key, kind), batch):
                if record is not None:
                    yield record


def _parsed(store: ObjectStore, key: str, kind: type[R]) -> R | None:
    """Return a record; None if it has been deleted or is damaged."""
    try:
        data = store.get(key)
    except ObjectNotFound:
        return None
    try:
        return kind.from_json(data, key)
    except StoreUnavailable as error:
        log.warning("record_damaged", key=key, reason=str(error))
        return None
