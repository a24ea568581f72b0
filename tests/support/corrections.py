"""Builders of corrections, reviews and predictions, and a store that counts what an index reads."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import StoreUnavailable
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.records import (
    Correction,
    Modalities,
    PredictionRecord,
    ProductContent,
    Review,
    Revision,
    Role,
    new_id,
)
from product_classifier.taxonomy.folder import FOLDER
from tests.support.fakes import FakeStore

NOW = datetime(2030, 5, 5, 12, tzinfo=UTC)
ROLES: dict[str, Role] = {"ann": "user", "bob": "user", "cid": "user", "rita": "reviewer"}


def make_correction(designation: str = "Chemise", user: str = "ann", code: int = 0, **fields: Any) -> Correction:
    created = fields.pop("created", NOW)
    product = fields.pop("product", None) or ProductContent(designation=designation)
    return Correction(
        feedback_id=new_id(created),
        created=created,
        user=user,
        role=ROLES[user],
        code=CHALLENGE.codes[code],
        product=product,
        **fields,
    )


def make_review(correction: Correction, decision: Any = "approved", created: datetime = NOW) -> Review:
    return Review(feedback_id=correction.feedback_id, created=created, reviewer="rita", decision=decision)


def make_prediction(designation: str, created: datetime = NOW, prediction_id: str = "") -> PredictionRecord:
    return PredictionRecord(
        prediction_id=prediction_id or new_id(created),
        created=created,
        user="ann",
        product=ProductContent(designation=designation),
        code=CHALLENGE.codes[1],
        confidence=0.5,
        top=(),
        modalities=Modalities(),
        degraded=False,
        release="r",
    )


def put(store: FakeStore, *records: Correction | Review | Revision | PredictionRecord) -> None:
    for record in records:
        store.put(record.key, record.to_json())


def open_index(store: Any, path: Path, **options: Any) -> FeedbackIndex:
    return FeedbackIndex(store, path, **options)


class CountingStore(FakeStore):
    """Counts reads of objects and listings by their start, and can fail the n-th read."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.fail_at = 0
        self.listings: list[tuple[str, str]] = []

    def get(self, key: str) -> bytes:
        if key.startswith(f"{FOLDER}/"):  # of the taxonomy, not of corrections
            return super().get(key)
        self.reads += 1
        if self.reads == self.fail_at:
            raise StoreUnavailable("reset by peer")
        return super().get(key)

    def list(self, prefix: str = "", *, start_after: str = "") -> Any:
        self.listings.append((prefix, start_after))
        return super().list(prefix, start_after=start_after)
