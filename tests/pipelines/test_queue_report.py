"""`python -m pipelines queue` lists stored predictions without a correction."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.__main__ import main
from product_classifier.feedback.records import (
    CategoryProbability,
    Correction,
    Modalities,
    PredictionRecord,
    ProductContent,
    new_id,
)
from product_classifier.store import ObjectStore, open_store

NOW = datetime.now(UTC)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    monkeypatch.setenv("STORE_URL", tmp_path.as_uri())
    return open_store(tmp_path.as_uri())


def predict(store: ObjectStore, designation: str, confidence: float, days: int = 0) -> str:
    """Store a prediction made so many days ago; return its id."""
    created = NOW - timedelta(days=days)
    record = PredictionRecord(
        prediction_id=new_id(created),
        created=created,
        user="ursula",
        product=ProductContent(designation=designation),
        code="10",
        confidence=confidence,
        top=(CategoryProbability(code="10", probability=confidence),),
        modalities=Modalities(),
        degraded=False,
        release="r-20260101T000000-0000aaaa",
    )
    store.put(record.key, record.to_json())
    return record.prediction_id


def correct(store: ObjectStore, **subject: object) -> None:
    correction = Correction.model_validate(
        {"feedback_id": new_id(), "created": NOW, "user": "ursula", "role": "user", "code": 40, **subject}
    )
    store.put(correction.key, correction.to_json())


def test_the_least_confident_uncorrected_predictions_are_listed(store: ObjectStore) -> None:
    sure = predict(store, "Livre ancien", 0.9)
    unsure = predict(store, "Piscine gonflable", 0.2)
    corrected = predict(store, "Console de jeu", 0.1)
    predict(store, "Lampe rouge", 0.05)
    predict(store, "Chaise pliante", 0.01, days=40)
    correct(store, prediction_id=corrected)
    correct(store, product=ProductContent(designation="lampe  ROUGE"))
    store.put(f"predictions/dt={NOW:%Y-%m-%d}/{new_id()}.json", b"{")

    assert 0 == main(["queue", "--days", "30", "--limit", "5"])

    (key,) = store.list("reports/queue/")
    listed = json.loads(store.get(key))["predictions"]
    assert [unsure, sure] == [one["prediction_id"] for one in listed]
    assert ("confidence 0.20", 10) == (listed[0]["reason"], listed[0]["code"])


def test_the_number_of_predictions_is_limited(store: ObjectStore) -> None:
    for number in range(5):
        predict(store, f"Produit numéro{number} {'abcde'[number] * 9}", number / 10)

    assert 0 == main(["queue", "--limit", "2"])

    (key,) = store.list("reports/queue/")
    assert [0.0, 0.1] == [one["confidence"] for one in json.loads(store.get(key))["predictions"]]
