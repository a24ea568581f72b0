"""Let the gate decide about a release, and put it into service if it passes."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.promote.rollout import open_rollout
from components.tracking import Tracking
from product_classifier.errors import BundleRefused, ObjectNotFound
from product_classifier.gate import Candidate, judge
from product_classifier.store import ObjectStore, open_store


def run(
    release: str, store: str, tracking_uri: str, rollout: str, verdict: Path, experiment: str = "product-classifier"
) -> bool:
    """Promote the published release or keep the champion; write the verdict (JSON) and return whether it was promoted.

    Safe to repeat: a release that is already in service ties with itself, and the rest is done again.
    """
    objects = open_store(store)
    service = open_rollout(rollout, objects)
    champion = service.current()
    decision = judge(_published(objects, release), None if champion is None else _published(objects, champion))
    if decision.promote:
        service.switch(release)
    record = {"release": release, "decided": datetime.now(UTC).isoformat(timespec="seconds"), **decision.to_json()}
    content = json.dumps(record, indent=2).encode()
    verdict.parent.mkdir(parents=True, exist_ok=True)
    verdict.write_bytes(content)
    objects.put(f"reports/promotions/{release}.json", content)
    if decision.promote:
        Tracking(tracking_uri, experiment).crown(release)
    return decision.promote


def _published(store: ObjectStore, release: str) -> Candidate:
    key = f"models/{release}/release.json"
    try:
        return _candidate(release, json.loads(store.get(key))["metrics"])
    except ObjectNotFound as error:
        raise ObjectNotFound(f"release {release!r} was never published: {error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise BundleRefused(f"{key}: is not the record of a release ({error})") from error


def _candidate(release: str, metrics: Mapping[str, Any]) -> Candidate:
    return Candidate(release, float(metrics["fusion"]["weighted_f1"]), str(metrics["test_set"]))
