"""Reads products from the store: those of predictions, and the whole ones of corrections."""

from product_classifier.errors import InvalidInput, ObjectNotFound, StoreUnavailable
from product_classifier.feedback.records import (
    Correction,
    PredictionRecord,
    ProductContent,
    correction_key,
    day_of,
    prediction_key,
)
from product_classifier.store import ObjectStore
from product_classifier.store.object_keys import LOGS_PREFIX


def read_prediction(store: ObjectStore, prediction_id: str) -> PredictionRecord:
    """Read the record of a prediction, from the prediction log if its object was deleted after compaction.

    Raises:
        ObjectNotFound: If there is no such prediction.
        InvalidInput: If the id is malformed or the object cannot be parsed.
        StoreUnavailable: If the store cannot be reached.
    """
    key = prediction_key(prediction_id)
    try:
        data = store.get(key)
    except ObjectNotFound:
        if (logged := _read_logged(store, prediction_id)) is None:
            raise
        return logged
    try:
        return PredictionRecord.from_json(data, key)
    except StoreUnavailable as error:
        raise InvalidInput(str(error)) from error


def read_corrected_product(store: ObjectStore, feedback_id: str) -> ProductContent:
    """Read the product of a correction, or that of its prediction; raises what `read_prediction` raises."""
    key = correction_key(feedback_id)
    data = store.get(key)
    try:
        correction = Correction.from_json(data, key)
    except StoreUnavailable as error:
        raise InvalidInput(str(error)) from error
    if correction.product is not None:
        return correction.product
    return read_prediction(store, str(correction.prediction_id)).product


def _read_logged(store: ObjectStore, prediction_id: str) -> PredictionRecord | None:
    """Return a prediction of the log; services that never need it do not import Arrow."""
    if next(iter(store.list(f"{LOGS_PREFIX}dt={day_of(prediction_id)}/")), None) is None:
        return None
    from product_classifier.feedback.prediction_log import log_parts, log_schema  # noqa: PLC0415 - imports Arrow

    row = log_parts.find_row(store, "prediction", prediction_id)
    record = None if row is None else log_schema.from_row(row)
    return record if isinstance(record, PredictionRecord) else None
