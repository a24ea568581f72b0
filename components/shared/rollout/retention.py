"""Which published releases are kept, and the end of the others.

Kept are those that servers hold or that somebody may want back at once, whatever is still being judged, and the newest
ones. A release ends as it began, the other way round: without its `release.json` it was never published.
"""

import json
import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta

from components.shared.published_releases import MANIFEST
from components.shared.rollout import history
from components.shared.rollout.releases import ROLLBACKS
from components.shared.rollout.rollout import Rollout
from product_classifier.errors import InvalidInput
from product_classifier.store import ObjectStore

UNDECIDED_S = 24 * 3600
"""How long a release may take from its id to the end of its promotion; one that took longer has no run any more."""

_ID = re.compile(r"r-(\d{8}T\d{6})-[0-9a-f]{8}")


def prune(store: ObjectStore, rollout: Rollout, named: Collection[str], keep: int, now: datetime) -> list[str]:
    """Delete releases that nobody needs; return their ids.

    No release goes into service meanwhile, so what is found in use stays what is in use. Interrupted, it is finished
    by the next one.

    Args:
        store: Where releases are published.
        rollout: Where one of them is in service.
        named: Those that have a name elsewhere, as the champion has in MLflow.
        keep: How many of the newest stay in any case.
        now: The time.
    """
    gone = []
    with rollout.alone() as still_alone:
        needed = {*rollout.in_use(), *named, *_wanted_back(store, rollout.current())}
        published, rest = _found(store)
        needed |= set(sorted(published)[len(published) - min(keep, len(published)) :])
        for release in sorted((published | rest) - needed):
            if _is_undecided(store, release, now):
                continue
            still_alone()
            _delete(store, release)
            gone.append(release)
    return gone


def _found(store: ObjectStore) -> tuple[set[str], set[str]]:
    """Return the releases that are published, and those of which there are only pieces."""
    published, touched = set(), set()
    for key in store.list("models/"):
        name, _, file = key.removeprefix("models/").partition("/")
        if _ID.fullmatch(name):
            touched.add(name)
            if file == MANIFEST:
                published.add(name)
    return published, touched - published


def _wanted_back(store: ObjectStore, current: str | None) -> Iterator[str]:
    """Yield what a rollback may bring back: the release before the current one, and both of the last rollback."""
    promotion = history.find(store, current) if current else None
    if promotion is not None and promotion.champion:
        yield promotion.champion
    last = max(store.list(ROLLBACKS), default=None)
    if last is not None:
        try:
            record = json.loads(store.get(last))
            yield from filter(None, (record["from"], record["to"]))
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput(f"object {last!r} does not say what was rolled back; nothing is deleted") from error


def _is_undecided(store: ObjectStore, release: str, now: datetime) -> bool:
    found = _ID.fullmatch(release)
    assert found is not None  # noqa: S101 - only such names are looked at
    made = datetime.strptime(found[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return now - made < timedelta(seconds=UNDECIDED_S) and not history.has_ended(store, release)


def _delete(store: ObjectStore, release: str) -> None:
    manifest = f"models/{release}/{MANIFEST}"
    store.delete(manifest)
    for key in list(store.list(f"models/{release}/")):
        store.delete(key)
