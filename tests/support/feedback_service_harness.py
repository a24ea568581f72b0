"""A feedback service in this process with a client, and builders of its requests."""

import base64
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import simplejpeg
from fastapi.testclient import TestClient
from pydantic import SecretStr

from inference.durability.writer import DurableWriter
from inference.feedback_service.app import PROBE_KEY, create_app
from inference.feedback_service.correction_replay import CorrectionReplay
from inference.feedback_service.service import FeedbackService, utc_now
from inference.feedback_service.settings import Settings
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.records import Modalities, PredictionRecord, ProductContent, is_correction_key, new_id
from product_classifier.retraining.settings import RetrainSettings
from product_classifier.store import ObjectStore
from product_classifier.store.journal import Disk, Journal

TOKEN = "t" * 40
RIGHT, WRONG = int(CHALLENGE.codes[3]), int(CHALLENGE.codes[4])


class AdjustableClock:
    """A clock that stands still until a test sets it."""

    def __init__(self) -> None:
        self.time = datetime(2030, 5, 5, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


class FeedbackHarness:
    """The service behind a test client, with a journal in a folder or none."""

    def __init__(
        self,
        store: ObjectStore,
        journal: Path | None,
        *,
        disk: Disk | None = None,
        index: FeedbackIndex | None = None,
        daily_corrections: int = 0,
        known_answer_share: float = 0.0,
    ) -> None:
        settings = Settings(
            internal_token=SecretStr(TOKEN),
            longest_pause_s=0.3,
            daily_corrections=daily_corrections,
            known_answer_share=known_answer_share,
        )
        self.clock = AdjustableClock()
        self.store = store
        self.journal = Journal(journal, max_bytes=1 << 20, disk=disk) if journal else None
        retrain = RetrainSettings.model_validate({"min_corrections": 2})
        self.app = create_app(store, self.journal, settings, retrain, self.clock, index)
        self.client = TestClient(self.app, raise_server_exceptions=False)

    def __enter__(self) -> Self:
        self.client.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.client.__exit__(*error)

    def headers(self, user: str, role: str = "user", **more: str) -> dict[str, str]:
        """Return the headers the gateway adds for a user."""
        return {"X-Internal-Token": TOKEN, "X-Auth-User": user, "X-Auth-Role": role, **more}

    def submit(self, body: Any, user: str = "ann", role: str = "user", key: str | None = None) -> Any:
        """Send `POST /feedback`."""
        headers = self.headers(user, role) | ({"Idempotency-Key": key} if key is not None else {})
        return self.client.post("/feedback", json=body, headers=headers)

    def review(self, feedback_id: str, action: str = "approve", user: str = "rita") -> Any:
        """Send `POST /feedback/{id}/approve` or `/reject`."""
        return self.client.post(f"/feedback/{feedback_id}/{action}", headers=self.headers(user, "reviewer"))

    def list(self, user: str = "rita", role: str = "reviewer", **query: object) -> Any:
        """Send `GET /feedback`."""
        return self.client.get("/feedback", params=query, headers=self.headers(user, role))

    def wait_until_replayed(self) -> bool:
        """Return whether the store was available and the journal empty within 10 s."""
        for _ in range(200):
            if self.client.get("/readyz").json() == {"status": "ok", "store": "ok", "waiting": 0}:
                return True
            time.sleep(0.05)
        return False


def make_service(
    store: ObjectStore, journal: Journal | None = None, now: Callable[[], datetime] = utc_now
) -> tuple[FeedbackService, DurableWriter]:
    """Return a service without HTTP and its writer."""
    index = FeedbackIndex(store)
    writer = DurableWriter(store, journal, CorrectionReplay(store, index, now), probe_key=PROBE_KEY, max_pause_s=0.3)
    return FeedbackService(store, writer, index, now), writer


def store_prediction(store: ObjectStore, designation: str = "Chemise bleue") -> str:
    """Store a prediction record as the gateway does; return its id."""
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


def product_correction(designation: str = "Chemise bleue", code: int = RIGHT, **more: object) -> dict[str, Any]:
    """Return the body of a correction of a product."""
    return {"product": {"designation": designation}, "code": code, **more}


def photo(seed: int = 0) -> bytes:
    """Return a small JPEG with random content."""
    pixels = np.random.default_rng(seed).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    return bytes(simplejpeg.encode_jpeg(pixels))


def photo_correction(seed: int = 0, code: int = RIGHT) -> dict[str, Any]:
    """Return the body of a correction of a product that is only a photo."""
    return {"product": {"image": base64.b64encode(photo(seed)).decode()}, "code": code}


def correction_keys(store: ObjectStore) -> list[str]:
    """Return the keys of the corrections in the store."""
    return [key for key in store.list("feedback/") if is_correction_key(key)]
