"""Durable writes: to the object store, or to the journal while the store is unavailable.

    writer = DurableWriter(store, journal, store_entry, probe_key="feedback/probe")
    threading.Thread(target=writer.run).start()
    writer.write(entries)       # returns once they are durable

`run` probes an unavailable store and replays the journal through `store_entry` when the store responds again.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from inference.durability.replay import JournalReplayer, write_once
from product_classifier.errors import NotDurable, ObjectExists, StoreError, StoreUnavailable
from product_classifier.observability import get_logger
from product_classifier.store import ObjectStore
from product_classifier.store.journal import DamagedRange, Entry, Journal, read_segment
from product_classifier.store.probe import probe_store

Destination = Literal["store", "journal"]
FIRST_PAUSE_S = 0.25
IDLE_S = 5.0
log = get_logger()


class DurableWriter:
    """Writes entries to the store or the journal; safe for any number of threads."""

    def __init__(
        self,
        store: ObjectStore,
        journal: Journal | None,
        store_entry: Callable[[Entry], None] | None = None,
        *,
        probe_key: str,
        max_pause_s: float = 15.0,
        index_pending: bool = True,
    ) -> None:
        """Read what an earlier process left in the journal.

        Args:
            store: Where entries belong.
            journal: Where they wait while the store is unavailable; None raises `NotDurable` instead.
            store_entry: Stores one journaled entry; by default an existing object of the same key is left as it is.
            probe_key: Object that `probe` writes and deletes; credentials of the service may be restricted to a
                prefix, so it is under a prefix that the service writes.
            max_pause_s: Longest pause between two attempts to reach an unavailable store.
            index_pending: Hold journaled entries in memory so that `pending` finds them. Without it memory does not
                grow with the journal.
        """
        self._store = store
        self._journal = journal
        self._probe_key = probe_key
        self._max_pause_s = max_pause_s
        self._index_pending = index_pending
        self._pending: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._recovering = threading.Lock()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._unavailable = False
        self._replayer = (
            JournalReplayer(journal, store_entry or (lambda entry: write_once(store, entry)))
            if journal is not None
            else None
        )
        self.on_replayed: Callable[[], None] = lambda: None
        if journal is not None and index_pending:
            for segment in journal.rotate():
                self._pending |= {found.key: found.data for found in read_segment(segment) if isinstance(found, Entry)}

    @property
    def store_unavailable(self) -> bool:
        """Whether an operation on the store failed; entries then go to the journal at once."""
        return self._unavailable

    @property
    def replayed(self) -> int:
        """Number of entries replayed from the journal to the store."""
        return self._replayer.replayed if self._replayer else 0

    @property
    def damages(self) -> Sequence[DamagedRange]:
        """Damaged ranges found in replayed segments."""
        return self._replayer.damages if self._replayer else ()

    @property
    def pending_count(self) -> int:
        """Number of indexed entries that are in the journal only."""
        return len(self._pending)

    def pending(self, key: str) -> bytes | None:
        """Return an indexed entry that is in the journal only."""
        return self._pending.get(key)

    def pending_keys(self) -> list[str]:
        """Return the keys of the indexed entries that are in the journal only."""
        with self._lock:
            return list(self._pending)

    def write(self, entries: Sequence[Entry]) -> Destination:
        """Make entries durable in this order; an object that has the key of one is left as it is.

        After any error of the store the entries go to the journal: the response they belong to is computed already.

        Raises:
            NotDurable: If neither the store nor the journal accepts them.
        """
        return self._write(entries, None)

    def create(self, record: Entry, photos: Sequence[Entry] = ()) -> Destination:
        """Make a record and its photos durable; photos are written first, as `write` does.

        Raises:
            ObjectExists: If the store or the journal has a record of this key; the photos may have been written.
            NotDurable: If neither the store nor the journal accepts them.
        """
        if record.key in self._pending:
            raise ObjectExists(f"object {record.key!r} is in the journal and not yet in the store")
        return self._write(photos, record)

    def report_unavailable(self, error: StoreError) -> None:
        """Send entries to the journal until the store responds to a probe."""
        if not self._unavailable:
            log.warning("store_unavailable", reason=str(error))
        self._unavailable = True
        self._wake.set()

    def check_journal(self) -> None:
        """Raise `NotDurable` if the journal would probably refuse the next entry."""
        self._require_journal().check()

    def probe(self) -> None:
        """Raise `StoreError` unless the store can be written."""
        probe_store(self._store, self._probe_key)

    def recover(self) -> None:
        """Replay what the journal holds now and use the store again; raise `StoreUnavailable` if that fails."""
        with self._recovering:
            if self._unavailable:
                self.probe()
            before = self.replayed
            if self._replayer is not None:
                self._replayer.replay(self._forget)
            if self._unavailable:
                log.info("store_recovered", replayed=self.replayed - before)
                self._unavailable = False
            if self.replayed > before:
                self.on_replayed()

    def run(self) -> None:
        """Recover until `close`: once entries are journaled, with growing pauses while that fails."""
        pause_s = FIRST_PAUSE_S
        while not self._stopped.is_set():
            try:
                self.recover()
            except (StoreError, OSError) as error:
                log.info(
                    "replay_postponed", reason=str(error), journal_bytes=self._journal_bytes, next_attempt_s=pause_s
                )
                self._stopped.wait(pause_s)
                pause_s = min(pause_s * 2, self._max_pause_s)
            except Exception:
                log.exception("replay_failed", journal_bytes=self._journal_bytes)  # a defect must not end this thread
                self._stopped.wait(self._max_pause_s)
            else:
                pause_s = FIRST_PAUSE_S
                self._wake.wait(IDLE_S)
                self._wake.clear()

    def close(self) -> None:
        """Stop `run`; journaled entries stay in the journal."""
        self._stopped.set()
        self._wake.set()
        if self._journal is not None:
            self._journal.close()

    @property
    def _journal_bytes(self) -> int:
        return 0 if self._journal is None else self._journal.size

    def _write(self, entries: Sequence[Entry], record: Entry | None) -> Destination:
        if not self._unavailable:
            try:
                for entry in entries:
                    write_once(self._store, entry)
                if record is not None:
                    self._store.put(record.key, record.data, only_if_absent=True)
            except StoreError as error:
                if record is not None and not isinstance(error, StoreUnavailable):
                    raise
                self.report_unavailable(error)
            else:
                return "store"
        self._append(entries if record is None else [*entries, record])
        return "journal"

    def _require_journal(self) -> Journal:
        if self._journal is None:
            raise NotDurable("object store: it is unavailable and this service has no journal; send the request later")
        return self._journal

    def _append(self, entries: Sequence[Entry]) -> None:
        journal = self._require_journal()
        with self._lock:
            new = {entry.key: entry.data for entry in entries if entry.key not in self._pending}
            if self._index_pending:
                self._pending |= new
        try:
            journal.append(entries)
        except NotDurable:
            self._forget(new)
            raise
        self._wake.set()

    def _forget(self, keys: Iterable[str]) -> None:
        with self._lock:
            for key in keys:
                self._pending.pop(key, None)
