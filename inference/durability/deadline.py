"""Asynchronous durable writes with a deadline and a bounded number of bytes in memory."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum

from inference.durability.writer import DurableWriter
from product_classifier.errors import NotDurable
from product_classifier.observability import get_logger
from product_classifier.store.journal import Entry
from product_classifier.store.probe import INTERVAL_S, StoreProbe

THREADS = 4
PROBE_DEADLINES = 4
CLOSE_DEADLINES = 8
LOGGED_KEYS = 3
log = get_logger()


class RecordStatus(StrEnum):
    """State of a record when the response is sent; the value of the header `Prediction-Record`."""

    STORED = "stored"
    """In the object store."""
    PENDING = "pending"
    """In the journal, or a write that takes longer than the deadline is in progress."""
    LOST = "lost"
    """Neither store, journal nor memory accepted it."""


class DeadlineWriter:
    """Runs a `DurableWriter` in threads; its methods belong to one event loop."""

    def __init__(
        self,
        writer: DurableWriter,
        *,
        deadline_s: float,
        max_backlog_bytes: int,
        count: Callable[[RecordStatus], None] = lambda _: None,
        set_backlog: Callable[[float], None] = lambda _: None,
        probe_interval_s: float = INTERVAL_S,
    ) -> None:
        """Take the writer and the limits; `count` and `set_backlog` receive outcomes and bytes for metrics."""
        self._writer = writer
        self._deadline_s = deadline_s
        self._max_backlog_bytes = max_backlog_bytes
        self._count = count
        self._set_backlog = set_backlog
        self._probe = StoreProbe(writer.probe, deadline_s=deadline_s * PROBE_DEADLINES, interval_s=probe_interval_s)
        self._backlog_bytes = 0
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="durable-writer")
        self._replay = threading.Thread(target=writer.run, name="journal-replay", daemon=True)
        self._writes: set[asyncio.Future[RecordStatus]] = set()

    async def write(self, entries: Sequence[Entry]) -> RecordStatus:
        """Write the entries of one response, photos before the records that name them."""
        size = sum(len(entry.data) for entry in entries)
        if self._backlog_bytes + size > self._max_backlog_bytes:
            return self._lose(entries, f"{self._backlog_bytes} bytes are being written, {size} more exceed the limit")
        write = asyncio.get_running_loop().run_in_executor(self._threads, self._write, entries)
        self._add_to_backlog(size)
        self._writes.add(write)
        write.add_done_callback(lambda _: self._add_to_backlog(-size))
        write.add_done_callback(self._writes.discard)
        done, _ = await asyncio.wait([write], timeout=self._deadline_s)
        return write.result() if done else RecordStatus.PENDING

    async def store_responds(self) -> bool:
        """Return whether the store could be written at the last probe, within a few deadlines."""
        return await asyncio.to_thread(self._probe.check)

    def start(self) -> None:
        """Start the thread that replays the journal."""
        self._replay.start()

    async def close(self) -> None:
        """Wait for writes in progress, a few deadlines at most; journaled entries stay in the journal."""
        if self._writes:
            await asyncio.wait(self._writes, timeout=self._deadline_s * CLOSE_DEADLINES)
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._writer.close()

    def _write(self, entries: Sequence[Entry]) -> RecordStatus:
        try:
            destination = self._writer.write(entries)
        except NotDurable as error:
            return self._lose(entries, str(error))
        status = RecordStatus.STORED if destination == "store" else RecordStatus.PENDING
        self._count(status)
        return status

    def _lose(self, entries: Sequence[Entry], reason: str) -> RecordStatus:
        log.error("record_lost", keys=[entry.key for entry in entries][:LOGGED_KEYS], reason=reason)
        self._count(RecordStatus.LOST)
        return RecordStatus.LOST

    def _add_to_backlog(self, size: int) -> None:
        self._backlog_bytes += size
        self._set_backlog(self._backlog_bytes)
