"""What the object store has about each published release.

models/<release>/release.json      the release
reports/promotions/<release>.json  verdict of its promotion
reports/rollbacks/<time>.json      deployments of an earlier release
reports/champion.json              the release that was deployed last
reports/quality/<release>.json     scores of its evaluation, with confusions, calibration and coverage
reports/suspects/<release>.json    training labels that are probably wrong
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson
from pydantic import AwareDatetime, ConfigDict, Field, ValidationError

from product_classifier.errors import ObjectNotFound
from product_classifier.feedback.records import Record
from product_classifier.store import ObjectStore

RELEASE_ID = r"^r-[0-9]{8}T[0-9]{6}-[0-9a-f]{8}$"
MODELS = "models/"
MANIFEST = "release.json"
PROMOTIONS = "reports/promotions/"
ROLLBACKS = "reports/rollbacks/"
CHAMPION = "reports/champion.json"
QUALITY = "reports/quality/"
SUSPECTS = "reports/suspects/"


class ReleaseRecord(Record):
    """The manifest of a release, without its files."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    created: AwareDatetime
    data_revision: str = ""
    corrections: str | None = None
    """SHA-256 of the snapshot of corrections."""
    git_commit: str | None = None
    mlflow_runs: dict[str, str] = Field(default_factory=dict)
    metrics: dict[str, Any] = Field(default_factory=dict)
    products: dict[str, int] = Field(default_factory=dict)

    def score(self, kind: str, name: str) -> float | None:
        """Return a score of a kind of model, None if it has none."""
        scores = self.metrics.get(kind)
        value = scores.get(name) if isinstance(scores, dict) else None
        return float(value) if isinstance(value, (int, float)) else None

    @property
    def hold_out(self) -> str:
        """Digest of the hold-out: scores of different ones cannot be compared; empty if unknown."""
        return str(self.metrics.get("test_set") or "")


class PromotionRecord(Record):
    """The verdict about a release."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    release: str
    champion: str | None
    promoted: bool
    reasons: tuple[str, ...]
    metrics: dict[str, Any]
    decided: AwareDatetime


class RollbackRecord(Record):
    """A deployment of an earlier release."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    before: str | None = Field(alias="from")
    to: str
    done: bool
    at: AwareDatetime


class ReleaseHistory:
    """Reads releases and verdicts; those that were read once are kept. Thread-safe."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._releases: dict[str, ReleaseRecord] = {}
        self._promotions: dict[str, PromotionRecord] = {}

    def ids(self) -> list[str]:
        """Return the ids of the published releases, newest first."""
        keys = (key.split("/") for key in self._store.list(MODELS))
        return sorted((parts[1] for parts in keys if len(parts) == 3 and parts[2] == MANIFEST), reverse=True)

    def find(self, release: str) -> ReleaseRecord | None:
        """Return a release; None if it was never published, was deleted, or its manifest is damaged."""
        if release not in self._releases:
            found = _read(self._store, f"{MODELS}{release}/{MANIFEST}", ReleaseRecord)
            if found is None:
                return None
            self._releases[release] = found
        return self._releases[release]

    def promotion(self, release: str) -> PromotionRecord | None:
        """Return the verdict about a release, None while there is none."""
        if release not in self._promotions:
            found = _read(self._store, f"{PROMOTIONS}{release}.json", PromotionRecord)
            if found is None:
                return None
            self._promotions[release] = found
        return self._promotions[release]

    def champion(self) -> str | None:
        """Return the release that was deployed last, None before the first."""
        try:
            return str(orjson.loads(self._store.get(CHAMPION))["release"])
        except (ObjectNotFound, ValueError, KeyError, TypeError):
            deployed = max(self._deployments(), default=None)  # of a version that did not record it
            return deployed[1] if deployed else None

    def before(self, release: str) -> str | None:
        """Return the release that a release replaced when it was promoted."""
        promotion = self.promotion(release)
        return promotion.champion if promotion else None

    def quality(self, release: str) -> dict[str, Any] | None:
        """Return the scores of a release's evaluation with confusions, None without them."""
        return self._document(f"{QUALITY}{release}.json")

    def suspects(self, release: str) -> dict[str, Any] | None:
        """Return the training labels that are probably wrong, None without them."""
        return self._document(f"{SUSPECTS}{release}.json")

    def _document(self, key: str) -> dict[str, Any] | None:
        try:
            document = orjson.loads(self._store.get(key))
        except (ObjectNotFound, orjson.JSONDecodeError):
            return None
        return document if isinstance(document, dict) else None

    def _deployments(self) -> Iterator[tuple[datetime, str]]:
        for release in self.ids():
            promotion = self.promotion(release)
            if promotion is not None and promotion.promoted:
                yield promotion.decided, release
        for key in self._store.list(ROLLBACKS):
            rollback = _read(self._store, key, RollbackRecord)
            if rollback is not None and rollback.done:
                yield rollback.at, rollback.to


def write_champion(store: ObjectStore, release: str) -> None:
    """Record the release that servers are switched to."""
    store.put(CHAMPION, json.dumps({"release": release}).encode())


def write_reports(store: ObjectStore, release: str, *, quality: bytes, suspects: bytes | None) -> None:
    """Write the evaluation of a release, and the training labels that are probably wrong."""
    store.put(f"{QUALITY}{release}.json", quality)
    if suspects is not None:
        store.put(f"{SUSPECTS}{release}.json", suspects)


def _read(store: ObjectStore, key: str, kind: type[Any]) -> Any:
    try:
        return kind.model_validate_json(store.get(key))
    except (ObjectNotFound, ValidationError):
        return None
