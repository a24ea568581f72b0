"""Delete published releases that are no longer needed.

Kept are the releases that servers hold, those a rollback may need, those whose promotion has not ended, and the newest.
`release.json` is deleted first, so that an interrupted deletion leaves an unpublished release.
"""

import json
import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta

from components.shared.rollout import history
from components.shared.rollout.releases import ROLLBACKS
from components.shared.rollout.rollout import Rollout
from product_classifier.errors import InvalidInput
from product_classifier.releases.release import MANIFEST
from product_classifier.store import ObjectStore

UNDECIDED_S = 24 * 3600
"""Longest time from the id of a release to the end of its promotion; after that its run is over."""

_ID = re.compile(r"r-(\d{8}T\d{6})-[0-9a-f]{8}")


def prune(store: ObjectStore, rollout: Rollout, named: Collection[str], keep: int, now: datetime) -> list[str]:
    """Delete the releases that are not needed; return their ids.

    The promotion lock is held, so the releases in use do not change. The next call completes an interrupted one.

    Args:
        store: Store of the releases.
        rollout: Deployment of one of them.
        named: Releases with an alias in MLflow, which are kept.
        keep: Number of the newest releases that are kept.
        now: Current time.
    """
    deleted = []
    with rollout.exclusive() as renew_lease:
        needed = {*rollout.in_use(), *named, *_rollback_targets(store, rollout.current())}
        published, rest = _found(store)
        needed |= set(sorted(published)[len(published) - min(keep, len(published)) :])
        for release in sorted((published | rest) - needed):
            if _is_undecided(store, release, now):
                continue
            renew_lease()
            _delete(store, release)
            deleted.append(release)
    return deleted


def _found(store: ObjectStore) -> tuple[set[str], set[str]]:
    """Return the published releases, and those with some files only."""
    published, touched = set(), set()
    for key in store.list("models/"):
        name, _, file = key.removeprefix("models/").partition("/")
        if _ID.fullmatch(name):
            touched.add(name)
            if file == MANIFEST:
                published.add(name)
    return published, touched - published


def _rollback_targets(store: ObjectStore, current: str | None) -> Iterator[str]:
    """Yield the release before the current one, and both releases of the last rollback."""
    promotion = history.find(store, current) if current else None
    if promotion is not None and promotion.champion:
        yield promotion.champion
    last = max(store.list(ROLLBACKS), default=None)
    if last is not None:
        try:
            record = json.loads(store.get(last))
            yield from filter(None, (record["from"], record["to"]))
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput(
                f"object {last!r}: is no record of a rollback, so nothing is deleted; repair it"
            ) from error


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
