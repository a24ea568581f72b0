"""Leases of queue items: of any number of servers, one gives an item to one user for some minutes.

A lease is an object that is written once under the next number of its item. Clocks of servers may differ by
`MAX_SKEW`: a lease counts for that long after it expires.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from product_classifier.errors import ObjectExists, ObjectNotFound
from product_classifier.feedback.queue_records import QueueLease, leases_prefix, skip_key
from product_classifier.store import ObjectStore

DURATION = timedelta(minutes=10)
MAX_SKEW = timedelta(seconds=30)


class QueueLeases:
    """Leases and skips in the store. Thread-safe; every method may raise `StoreUnavailable`."""

    def __init__(self, store: ObjectStore, now: Callable[[], datetime], duration: timedelta = DURATION) -> None:
        """Take the store, the time in UTC, and how long a lease lasts."""
        self._store = store
        self._now = now
        self._duration = duration

    def acquire(self, user: str, item_id: str) -> QueueLease | None:
        """Return the user's lease of an item, a new one if it is free; None if another user has it."""
        now = self._now()
        last = self._last(item_id)
        if last is not None and now < last.expires + MAX_SKEW and (last.user != user or now < last.expires):
            return last if last.user == user else None
        number = 1 if last is None else last.number + 1
        lease = QueueLease(item_id=item_id, number=number, user=user, created=now, expires=now + self._duration)
        try:
            self._store.put(lease.key, lease.to_json(), only_if_absent=True)
        except ObjectExists:  # another server was first, perhaps for the same user
            return None
        if last is not None:
            self._store.delete(last.key)
        return lease

    def holds(self, user: str, item_id: str) -> bool:
        """Return whether the user has a lease of an item."""
        last = self._last(item_id)
        return last is not None and last.user == user and self._now() < last.expires + MAX_SKEW

    def skip(self, user: str, item_id: str) -> None:
        """Do not offer an item to a user again; others get it when the lease has expired."""
        with suppress(ObjectExists):
            self._store.put(skip_key(user, item_id), b"{}", only_if_absent=True)

    def is_skipped(self, user: str, item_id: str) -> bool:
        """Return whether the user skipped an item."""
        return self._store.exists(skip_key(user, item_id))

    def _last(self, item_id: str) -> QueueLease | None:
        """Return the newest lease of an item; an earlier one may have been deleted meanwhile."""
        for key in reversed(list(self._store.list(leases_prefix(item_id)))):
            with suppress(ObjectNotFound):
                return QueueLease.from_json(self._store.get(key), key)
        return None
