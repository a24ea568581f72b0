"""Keeping prediction records: in the store before the answer where possible, in a journal on local disk otherwise.

An answer waits `deadline_s` for its records. If the store does not take them in that time they go on waiting in memory
and, once a write has failed, in a journal on disk from which they are put into the store when it is back. Only when
memory and disk are full as well is a record given up, which the answer's header, the log and a counter say.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from functools import partial

from inference.auth_proxy.metrics import Metrics
from product_classifier.errors import NotDurable, ObjectExists, StoreError
from product_classifier.observability import get_logger
from product_classifier.store import ObjectStore
from product_classifier.store.journal import Damage, Entry, Journal, read_segment

WRITERS = 4
PROBE_KEY = "gateway/probe"
DRAIN_EVERY_S = 2.0


class Kept(StrEnum):
    """What became of a record by the time of the answer; the value of the header `Prediction-Record`."""

    STORED = "stored"
    PENDING = "pending"
    LOST = "lost"


class Recorder:
    """Writes records from threads, so that a slow store costs an answer its deadline and no more."""

    def __init__(
        self, store: ObjectStore, journal: Journal, metrics: Metrics, *, deadline_s: float, backlog_bytes: int
    ) -> None:
        self._store = store
        self._journal = journal
        self._metrics = metrics
        self._deadline_s = deadline_s
        self._backlog_bytes = backlog_bytes
        self._waiting = 0
        self._away = False
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="recorder")
        self._writes: set[asyncio.Future[Kept]] = set()
        self._log = get_logger()

    async def keep(self, entries: Sequence[Entry]) -> Kept:
        """Keep what belongs to one answer, photos before the record that names them."""
        size = sum(len(entry.data) for entry in entries)
        if self._waiting + size > self._backlog_bytes:
            self._log.error("prediction_record_lost", keys=[e.key for e in entries][:3], reason="backlog is full")
            self._metrics.recorded(Kept.LOST)
            return Kept.LOST
        write = asyncio.get_running_loop().run_in_executor(self._writers, self._store_or_journal, list(entries))
        self._count(size)
        self._writes.add(write)
        write.add_done_callback(partial(self._written, size))
        done, _ = await asyncio.wait([write], timeout=self._deadline_s)
        return write.result() if done else Kept.PENDING

    async def reachable(self) -> bool:
        """Tell whether the store answers."""
        try:
            async with asyncio.timeout(self._deadline_s * 4):
                await asyncio.get_running_loop().run_in_executor(self._writers, self._store.exists, PROBE_KEY)
        except (StoreError, TimeoutError):
            return False
        return True

    async def drain_forever(self) -> None:
        """Bring journalled records into the store, now and then, until cancelled."""
        while True:
            await asyncio.sleep(DRAIN_EVERY_S)
            if self._journal.size:
                await asyncio.get_running_loop().run_in_executor(self._writers, self.drain)

    async def close(self) -> None:
        """Finish the writes in progress; the journal keeps the rest for the next start."""
        if self._writes:
            await asyncio.wait(self._writes, timeout=self._deadline_s * 8)
        self._writers.shutdown(wait=False, cancel_futures=True)
        self._journal.close()

    def drain(self) -> None:
        """Put what the journal holds into the store; stop at the first refusal."""
        for segment in self._journal.sealed():
            damaged = False
            try:
                for found in read_segment(segment):
                    if isinstance(found, Damage):
                        damaged = True
                        self._log.error("journal_damaged", segment=found.segment, offset=found.offset, kind=found.kind)
                    else:
                        self._put(found)
            except StoreError as error:
                self._log.info("store_still_away", reason=str(error))
                return
            self._journal.discard(segment, damaged=damaged)
            self._away = False
            self._log.info("journal_drained", segment=segment.name)

    def _written(self, size: int, write: "asyncio.Future[Kept]") -> None:
        self._writes.discard(write)
        self._count(-size)

    def _count(self, size: int) -> None:
        self._waiting += size
        self._metrics.records_waiting.set(self._waiting)

    def _store_or_journal(self, entries: list[Entry]) -> Kept:
        outcome = self._try_store(entries) or self._try_journal(entries)
        self._metrics.recorded(outcome)
        return outcome

    def _try_store(self, entries: list[Entry]) -> Kept | None:
        if self._away and self._journal.size:
            return None  # straight to disk while the store is away; draining finds out when it is back
        try:
            for entry in entries:
                self._put(entry)
        except StoreError as error:
            self._away = True
            self._log.warning("store_away", reason=str(error))
            return None
        self._away = False
        return Kept.STORED

    def _try_journal(self, entries: list[Entry]) -> Kept:
        try:
            self._journal.append(entries)
        except NotDurable as error:
            self._log.error("prediction_record_lost", keys=[e.key for e in entries][:3], reason=str(error))
            return Kept.LOST
        return Kept.PENDING

    def _put(self, entry: Entry) -> None:
        with contextlib.suppress(ObjectExists):
            self._store.put(entry.key, entry.data, only_if_absent=True)
