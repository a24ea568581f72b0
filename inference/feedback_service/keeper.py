"""Makes records durable: in the store, or in the journal while the store is away.

`keep` returns only when the record is durable somewhere. What is in the journal is brought to the store by `relay`,
which a thread of its own runs until it is stopped; a segment is deleted when each of its records was read back.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Literal

from product_classifier.errors import NotDurable, ObjectExists, StoreError, StoreUnavailable
from product_classifier.observability import get_logger
from product_classifier.store import ObjectStore
from product_classifier.store.journal import Damage, Entry, Journal, read_segment

Where = Literal["store", "journal"]
FIRST_PAUSE_S = 0.25
IDLE_S = 5.0
AT_ONCE = 8
PHOTOS = "images/"
log = get_logger()


class Keeper:
    """Two durable places behind one call; safe for any number of threads."""

    def __init__(
        self,
        store: ObjectStore,
        journal: Journal | None,
        place: Callable[[Entry], None],
        *,
        longest_pause_s: float = 15.0,
    ) -> None:
        """Start with what an earlier process left in the journal; `place` brings one record of it to the store."""
        self._store = store
        self._journal = journal
        self._place = place
        self._longest_pause_s = longest_pause_s
        self._waiting: dict[str, bytes] = {}
        self._placed: set[str] = set()
        self._lock = threading.Lock()
        self._draining = threading.Lock()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._away = False
        self.drained = 0
        self.damages: list[Damage] = []
        self.on_drained: Callable[[], None] = lambda: None
        for segment in journal.sealed() if journal is not None else []:
            self._waiting |= {entry.key: entry.data for entry in read_segment(segment) if isinstance(entry, Entry)}

    @property
    def is_away(self) -> bool:
        """Whether the store did not answer lately; then nobody waits for it."""
        return self._away

    @property
    def waiting(self) -> int:
        """How many records are in the journal only."""
        return len(self._waiting)

    def find_waiting(self, key: str) -> bytes | None:
        """Return a record that is in the journal only."""
        return self._waiting.get(key)

    def waiting_keys(self) -> list[str]:
        """Return the keys of the records that are in the journal only."""
        with self._lock:
            return list(self._waiting)

    def keep(self, record: Entry, photos: Sequence[Entry] = ()) -> Where:
        """Make a record and its photos durable.

        Raises:
            ObjectExists: If the store or the journal has a record of this key; its photos may have been written.
            NotDurable: If neither the store nor the journal takes it.
        """
        if record.key in self._waiting:
            raise ObjectExists(f"object {record.key!r} waits in the journal")
        if not self._away:
            try:
                self._put_new(record, photos)
            except StoreUnavailable as error:
                self.report_away(error)
            else:
                return "store"
        self._append([*photos, record])
        return "journal"

    def report_away(self, error: StoreUnavailable) -> None:
        """Say that the store did not answer: until it does again, records go to the journal at once."""
        if not self._away:
            log.warning("store_away", reason=str(error))
        self._away = True
        self._wake.set()

    def check(self) -> None:
        """Raise `NotDurable` when a record would probably be refused."""
        if not self._away:
            return
        if self._journal is None:
            raise NotDurable("the object store is away and there is no journal")
        self._journal.check()

    def relay(self) -> None:
        """Bring the journal to the store, for ever: at once when the store is back, with growing pauses while not."""
        pause = FIRST_PAUSE_S
        while not self._stopped.is_set():
            try:
                self.drain()
            except (StoreError, OSError) as error:
                log.info("store_still_away", reason=str(error), waiting=self.waiting, next_attempt_s=pause)
                self._stopped.wait(pause)
                pause = min(pause * 2, self._longest_pause_s)
            except Exception:
                log.exception("drain_failed", waiting=self.waiting)  # our own mistake must not end the relay
                self._stopped.wait(self._longest_pause_s)
            else:
                pause = FIRST_PAUSE_S
                if not self._waiting:
                    self._wake.wait(IDLE_S)
                self._wake.clear()

    def drain(self) -> None:
        """Bring what the journal holds now to the store; raises `StoreUnavailable` when it is (still) away."""
        with self._draining:
            self._drain()

    def _drain(self) -> None:
        if self._away:
            self._store.exists("feedback/store-is-back")
        before = self.drained
        if self._journal is not None and self._waiting:
            for segment in self._journal.sealed():
                self._drain_segment(self._journal, segment)
        if self._away:
            log.info("store_back", drained=self.drained)
            self._away = False
        if self.drained > before:
            self.on_drained()

    def close(self) -> None:
        """Stop relaying; what waits stays in the journal."""
        self._stopped.set()
        self._wake.set()
        if self._journal is not None:
            self._journal.close()

    def _drain_segment(self, journal: Journal, segment: Path) -> None:
        found = list(read_segment(segment))
        entries = [entry for entry in found if isinstance(entry, Entry)]
        damages = [damage for damage in found if isinstance(damage, Damage)]
        self._place_all(entries)
        for damage in damages:
            log.error("journal_damaged", segment=damage.segment, offset=damage.offset, kind=damage.kind)
        self.damages += damages
        journal.discard(segment, damaged=bool(damages))
        with self._lock:
            for entry in entries:
                self._waiting.pop(entry.key, None)
                self._placed.discard(entry.key)
        self.drained += len(entries)

    def _place_all(self, entries: Sequence[Entry]) -> None:
        """Place several at once; what was placed is not placed again when a later one fails."""
        failed = threading.Event()

        def place(entry: Entry) -> None:
            if entry.key in self._placed or failed.is_set():
                return
            try:
                self._place(entry)
            except BaseException:
                failed.set()
                raise
            self._placed.add(entry.key)

        with ThreadPoolExecutor(AT_ONCE, "place") as pool:
            photos = [entry for entry in entries if entry.key.startswith(PHOTOS)]
            others = [entry for entry in entries if not entry.key.startswith(PHOTOS)]
            for group in (photos, others):  # a correction never names a photo that is not there
                list(pool.map(place, group))

    def _put_new(self, record: Entry, photos: Sequence[Entry]) -> None:
        for photo in photos:
            with suppress(ObjectExists):
                self._store.put(photo.key, photo.data, only_if_absent=True)
        self._store.put(record.key, record.data, only_if_absent=True)

    def _append(self, entries: Sequence[Entry]) -> None:
        if self._journal is None:
            raise NotDurable("the object store is away and there is no journal")
        with self._lock:
            self._waiting |= {entry.key: entry.data for entry in entries}
        try:
            self._journal.append(entries)
        except NotDurable:
            with self._lock:
                for entry in entries:
                    self._waiting.pop(entry.key, None)
            raise
        self._wake.set()
