"""Records survive storage, refuse what they do not know, and are found by their id."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from product_classifier.errors import InvalidInput, StoreUnavailable
from product_classifier.feedback.records import (
    CategoryProbability,
    Correction,
    Modalities,
    PredictionRecord,
    ProductContent,
    Review,
    correction_key,
    created_at,
    image_key,
    new_id,
    prediction_key,
    review_key,
)
from tests.support.fakes import FakeStore

AN_ID = "01a20826-9624-7e16-97ec-4c44b60b9d55"
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def a_prediction(**changes: object) -> PredictionRecord:
    fields: dict[str, object] = {
        "prediction_id": new_id(NOON),
        "created": NOON,
        "user": "demo-user",
        "product": ProductContent(designation="Piscine gonflable 🏊", image_sha256="0" * 64),
        "code": 2583,
        "confidence": 0.9,
        "top": (CategoryProbability(code="2583", probability=0.9), CategoryProbability(code="10", probability=0.1)),
        "modalities": Modalities(text=CategoryProbability(code="2583", probability=0.8)),
        "degraded": False,
        "release": "r-20261123T120000-0123abcd",
    }
    return PredictionRecord.model_validate(fields | changes)


def test_a_prediction_is_stored_and_read_back() -> None:
    store, record = FakeStore(), a_prediction()
    store.put(record.key, record.to_json(), only_if_absent=True)

    assert record == PredictionRecord.from_json(store.get(prediction_key(record.prediction_id)), record.key)


def test_the_key_of_a_record_contains_the_day_of_its_id() -> None:
    identifier = new_id(NOON)

    assert f"predictions/dt=2026-11-23/{identifier}.json" == prediction_key(identifier)
    assert f"feedback/dt=2026-11-23/{identifier}.json" == correction_key(identifier)
    assert f"feedback/dt=2026-11-23/{identifier}.review.json" == review_key(identifier)
    assert f"images/{'a' * 64}" == image_key("a" * 64)


def test_a_correction_and_its_review_have_adjacent_keys() -> None:
    correction = Correction(
        feedback_id=new_id(NOON),
        created=NOON,
        user="ann",
        role="user",
        product=ProductContent(designation="x"),
        code="10",
    )
    review = Review(feedback_id=correction.feedback_id, created=NOON, reviewer="bob", decision="approved")

    assert sorted([correction.key, review.key]) == [correction.key, review.key]
    assert correction.key.removesuffix(".json") == review.key.removesuffix(".review.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"code": None},
        {"code": True},
        {"code": 10.5},
        {"confidence": 1.1},
        {"confidence": float("nan")},
        {"created": datetime(2026, 1, 1)},  # noqa: DTZ001 - a moment without a zone is the point
        {"prediction_id": "1234"},
        {"product": {}},
        {"product": {"designation": "\ud800"}},
        {"product": {"designation": "x", "image_sha256": "../../etc/passwd"}},
        {"surprise": 1},
    ],
    ids=str,
)
def test_an_invalid_record_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        a_prediction(**changes)


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        a_prediction().code = 10


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[1]", b'{"prediction_id": 1}', b'{"user": "an'])
def test_a_damaged_object_is_reported_with_its_key(data: bytes) -> None:
    with pytest.raises(StoreUnavailable, match=r"object 'predictions/x' is not a PredictionRecord: \w+"):
        PredictionRecord.from_json(data, "predictions/x")


@given(st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)))  # noqa: DTZ001
def test_an_id_contains_its_creation_time(moment: datetime) -> None:
    assert abs(created_at(new_id(moment)) - moment) <= timedelta(milliseconds=2)


def test_ids_are_distinct_and_sort_by_time() -> None:
    moments = [NOON + timedelta(milliseconds=number) for number in range(200)]
    identifiers = [new_id(moment) for moment in moments]

    assert identifiers == sorted(set(identifiers))


@pytest.mark.parametrize(
    "identifier",
    ["", "x", "../../etc", "01a20826-9624-4e16-97ec-4c44b60b9d55", AN_ID.upper(), f"{{{AN_ID}}}", "é" * 1000],
)
def test_a_malformed_id_is_refused(identifier: str) -> None:
    with pytest.raises(InvalidInput, match="is not a UUID of version 7"):
        prediction_key(identifier)
