"""A feedback service in this process, and people who use it."""

import base64
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import simplejpeg
from fastapi.testclient import TestClient
from pydantic import SecretStr

from inference.feedback_service.app import create_app
from inference.feedback_service.settings import Settings
from product_classifier.feedback.records import Modalities, PredictionRecord, ProductContent, new_id
from product_classifier.retraining.settings import RetrainSettings
from product_classifier.store import ObjectStore
from product_classifier.store.journal import Disk, Journal
from product_classifier.taxonomy import CODES

TOKEN = "t" * 40
RIGHT, WRONG = CODES[3], CODES[4]


class Turnable:
    """The time, for a service that is given one."""

    def __init__(self) -> None:
        self.time = datetime(2030, 5, 5, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


class Office:
    """The service over HTTP; `as_` says who asks."""

    def __init__(
        self, store: ObjectStore, journal: Path | None, *, disk: Disk | None = None, now: Turnable | None = None
    ) -> None:
        settings = Settings(internal_token=SecretStr(TOKEN), longest_pause_s=0.3)
        self.now = now or Turnable()
        self.store = store
        self.journal = Journal(journal, max_bytes=1 << 20, disk=disk) if journal else None
        retrain = RetrainSettings.model_validate({"min_corrections": 2})
        self.app = create_app(store, self.journal, settings, retrain, self.now)
        self.client = TestClient(self.app, raise_server_exceptions=False)

    def __enter__(self) -> Self:
        self.client.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.client.__exit__(*error)

    def as_(self, user: str, role: str = "user", **more: str) -> dict[str, str]:
        return {"X-Internal-Token": TOKEN, "X-Auth-User": user, "X-Auth-Role": role, **more}

    def give(self, body: Any, user: str = "ann", role: str = "user", key: str | None = None) -> Any:
        headers = self.as_(user, role) | ({"Idempotency-Key": key} if key is not None else {})
        return self.client.post("/feedback", json=body, headers=headers)

    def review(self, feedback_id: str, what: str = "approve", user: str = "rita") -> Any:
        return self.client.post(f"/feedback/{feedback_id}/{what}", headers=self.as_(user, "reviewer"))

    def list(self, user: str = "rita", **query: object) -> Any:
        return self.client.get("/feedback", params=query, headers=self.as_(user, "reviewer"))

    def until_drained(self) -> bool:
        for _ in range(200):
            if self.client.get("/readyz").json() == {"status": "ok", "store": "ok", "waiting": 0}:
                return True
            time.sleep(0.05)
        return False


def predict(store: ObjectStore, designation: str = "Chemise bleue") -> str:
    """Leave a prediction as the gateway does, return its id."""
    record = PredictionRecord(
        prediction_id=new_id(),
        created=datetime.now(UTC),
        user="ann",
        product=ProductContent(designation=designation),
        code=WRONG,
        confidence=0.5,
        top=(),
        modalities=Modalities(),
        degraded=False,
        release="r-20300101T000000-0badcafe",
    )
    store.put(record.key, record.to_json(), only_if_absent=True)
    return record.prediction_id


def product(designation: str = "Chemise bleue", code: int = RIGHT, **more: object) -> dict[str, Any]:
    return {"product": {"designation": designation}, "code": code, **more}


def photo(seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    return bytes(simplejpeg.encode_jpeg(pixels))


def photographed(seed: int = 0, code: int = RIGHT) -> dict[str, Any]:
    return {"product": {"image": base64.b64encode(photo(seed)).decode()}, "code": code}


def corrections(store: ObjectStore) -> list[str]:
    """Return the keys of the corrections in the store."""
    return [key for key in store.list("feedback/") if not key.endswith(".review.json")]
