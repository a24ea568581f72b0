"""Reads products from the store: those of predictions, and the whole ones of corrections."""

from product_classifier.errors import InvalidInput, StoreUnavailable
from product_classifier.feedback.records import (
    Correction,
    PredictionRecord,
    ProductContent,
    correction_key,
    prediction_key,
)
from product_classifier.store import ObjectStore


def read_prediction(store: ObjectStore, prediction_id: str) -> PredictionRecord:
    """Read the record of a prediction.

    Raises:
        ObjectNotFound: If there is no such prediction.
        InvalidInput: If the id is malformed or the object cannot be parsed.
        StoreUnavailable: If the store cannot be reached.
    """
    key = prediction_key(prediction_id)
    data = store.get(key)
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
