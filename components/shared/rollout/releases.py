"""What a person sees of the releases that are kept, and how one of them comes back."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from components.shared.published_releases import MANIFEST
from components.shared.rollout import history
from components.shared.rollout.rollout import Rollout
from components.shared.rollout.switch import Switch, Switched
from product_classifier.errors import InvalidInput, ObjectNotFound, ProductClassifierError
from product_classifier.retraining import read_snapshot
from product_classifier.store import ObjectStore

ROLLBACKS = "reports/rollbacks/"
"""Each a record of its time, with the releases before and after."""


class NoRelease(ProductClassifierError):
    """There is no release to go back to; the message says why."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A published release."""

    release: str
    created: str
    weighted_f1: float | None
    """As it was judged when it was made; None when it was not."""
    corrections: int | None
    """How many it was trained with; None when nobody can tell any more."""
    state: str


def kept_releases(store: ObjectStore, rollout: Rollout) -> Iterator[Kept]:
    """Yield the releases of the store, newest first; a damaged one is left out, for it cannot serve."""
    current = rollout.current()
    names = (key.split("/")[1] for key in store.list("models/") if key.count("/") == 2 and key.endswith(MANIFEST))
    for release in sorted(names, reverse=True):
        try:
            values = json.loads(store.get(f"models/{release}/{MANIFEST}"))
            created, scores = str(values["created"]), values["metrics"].get("fusion", {})
            count = _corrections(store, values.get("corrections"))
        except (ValueError, KeyError, TypeError, AttributeError, ObjectNotFound):
            continue
        yield Kept(release, created, scores.get("weighted_f1"), count, _state(store, release, current))


def roll_back(switch: Switch, release: str = "") -> Switched:
    """Put a kept release into service again, the one before the current by default.

    Raises:
        NoRelease: If it is in service already, or there was none before.
    """
    current = switch.rollout.current()
    chosen = release or _before(switch.store, current)
    if chosen == current:
        raise NoRelease(f"{chosen} is in service already")
    switched = switch.put_into_service(chosen, current)
    now = datetime.now(UTC)
    record = {"from": current, "to": chosen, "done": switched.done, "reasons": switched.reasons, "at": now.isoformat()}
    switch.store.put(f"{ROLLBACKS}{now:%Y%m%dT%H%M%S%f}.json", json.dumps(record).encode())
    return Switched(switched.done, switched.reasons or (f"{chosen} is in service instead of {current}",))


def _before(store: ObjectStore, current: str | None) -> str:
    promotion = history.find(store, current) if current else None
    if promotion is None or promotion.champion is None:
        raise NoRelease(f"nothing is known to have been in service before {current or 'this'}: name a release")
    return promotion.champion


def _corrections(store: ObjectStore, snapshot: str | None) -> int | None:
    try:
        return len(read_snapshot(store, snapshot).corrections) if snapshot else 0
    except (InvalidInput, ObjectNotFound):
        return None


def _state(store: ObjectStore, release: str, current: str | None) -> str:
    if release == current:
        return "in service"
    promotion = history.find(store, release)
    if promotion is None:
        return "not judged"
    return "was in service" if promotion.promoted else "refused"
