"""Replay of a journal: stores every entry, deletes the segments that are stored, reports damage."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from product_classifier.errors import ObjectExists
from product_classifier.feedback.records import PHOTO_PREFIX
from product_classifier.observability import get_logger
from product_classifier.store import ObjectStore
from product_classifier.store.journal import DamagedRange, Entry, Journal, read_segment

CONCURRENT_WRITES = 8
log = get_logger()


class JournalReplayer:
    """Replays segments, oldest first; one thread at a time may call `replay`."""

    def __init__(self, journal: Journal, store_entry: Callable[[Entry], None]) -> None:
        """Take the journal and `store_entry`, which stores an entry or raises `StoreUnavailable`, also repeatedly."""
        self._journal = journal
        self._store_entry = store_entry
        self._stored: set[str] = set()
        self.replayed = 0
        self.damages: list[DamagedRange] = []

    def replay(self, on_stored: Callable[[Iterable[str]], None] = lambda _: None) -> None:
        """Store the entries of every segment; `on_stored` receives the keys of each discarded segment.

        Raises:
            StoreUnavailable: If an entry cannot be stored. Its segment stays and is replayed by the next call.
        """
        for segment in self._journal.rotate():
            on_stored(self._replay_segment(segment))

    def _replay_segment(self, segment: Path) -> list[str]:
        found = list(read_segment(segment))
        entries = [entry for entry in found if isinstance(entry, Entry)]
        damages = [damage for damage in found if isinstance(damage, DamagedRange)]
        self._store_all(entries)
        for damage in damages:
            log.error("journal_damaged", segment=damage.segment, offset=damage.offset, kind=damage.kind)
        self._journal.discard(segment, damaged=bool(damages))
        self.damages += damages
        self.replayed += len(entries)
        self._stored.clear()
        log.info("journal_replayed", segment=segment.name, entries=len(entries))
        return [entry.key for entry in entries]

    def _store_all(self, entries: list[Entry]) -> None:
        """Store photos before the records that name them; skip entries that an earlier attempt stored."""
        failed = threading.Event()

        def store_once(entry: Entry) -> None:
            if entry.key in self._stored or failed.is_set():
                return
            try:
                self._store_entry(entry)
            except BaseException:
                failed.set()
                raise
            self._stored.add(entry.key)

        photos = [entry for entry in entries if entry.key.startswith(PHOTO_PREFIX)]
        records = [entry for entry in entries if not entry.key.startswith(PHOTO_PREFIX)]
        with ThreadPoolExecutor(CONCURRENT_WRITES, "journal-replay") as pool:
            for group in (photos, records):
                list(pool.map(store_once, group))


def write_once(store: ObjectStore, entry: Entry) -> None:
    """Store an entry; an object that has its key is left as it is."""
    with suppress(ObjectExists):
        store.put(entry.key, entry.data, only_if_absent=True)
