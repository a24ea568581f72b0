"""The status a response reports for its record: stored, pending or lost, within the deadline."""

import asyncio
import time
from pathlib import Path

import pytest
from prometheus_client import Gauge

from inference.durability.deadline import DeadlineWriter, RecordStatus
from inference.durability.writer import DurableWriter
from product_classifier.errors import InvalidKey
from product_classifier.store.journal import Entry, Journal
from tests.support.fakes import FakeStore

DEADLINE_S = 0.1
PROBE_KEY = "predictions/probe"
ENTRIES = [Entry("images/x", b"photo"), Entry("predictions/x.json", b"{}")]


class SlowStore(FakeStore):
    """A store whose writes take longer than the deadline."""

    def put(self, key: str, data: bytes, *, only_if_absent: bool = False) -> None:
        time.sleep(3 * DEADLINE_S)
        super().put(key, data, only_if_absent=only_if_absent)


def make_writer(
    store: FakeStore, folder: Path, *, backlog: int = 1000, journal: int = 10_000
) -> tuple[DeadlineWriter, DurableWriter, list[RecordStatus]]:
    """Return a writer with a deadline, the one it runs, and the statuses it counts."""
    counted: list[RecordStatus] = []
    writer = DurableWriter(store, Journal(folder, max_bytes=journal), index_pending=False, probe_key=PROBE_KEY)
    deadline = DeadlineWriter(writer, deadline_s=DEADLINE_S, max_backlog_bytes=backlog, count=counted.append)
    return deadline, writer, counted


async def test_an_entry_written_twice_is_stored_once(tmp_path: Path) -> None:
    store = FakeStore()
    writer, _, counted = make_writer(store, tmp_path)

    statuses = [await writer.write(ENTRIES), await writer.write(ENTRIES)]

    assert statuses == counted == [RecordStatus.STORED, RecordStatus.STORED]
    assert store.objects == {entry.key: entry.data for entry in ENTRIES}


async def test_a_write_slower_than_the_deadline_is_pending_and_completes(tmp_path: Path) -> None:
    store = SlowStore()
    writer, _, _ = make_writer(store, tmp_path)

    started = time.monotonic()
    status = await writer.write(ENTRIES)
    waited_s = time.monotonic() - started
    await writer.close()

    assert status == RecordStatus.PENDING
    assert waited_s < 2.5 * DEADLINE_S
    assert set(store.objects) == {entry.key for entry in ENTRIES}


async def test_records_written_during_an_outage_survive_a_restart_and_are_replayed(tmp_path: Path) -> None:
    store = FakeStore()
    store.away = True
    before, _, _ = make_writer(store, tmp_path)
    statuses = [await before.write([Entry(f"predictions/{n}.json", b"{}")]) for n in range(5)]
    await before.close()
    store.away = False
    after, _, _ = make_writer(store, tmp_path)
    after.start()

    async with asyncio.timeout(10):
        while len(store.objects) < 5:  # noqa: ASYNC110 - the replay runs in a thread
            await asyncio.sleep(0.01)
    await after.close()

    assert statuses == [RecordStatus.PENDING] * 5
    assert sorted(store.objects) == [f"predictions/{n}.json" for n in range(5)]


async def test_the_store_is_used_again_after_it_has_recovered(tmp_path: Path) -> None:
    store = FakeStore()
    store.away = True
    deadline, writer, _ = make_writer(store, tmp_path)
    during = await deadline.write(ENTRIES)
    store.away = False
    writer.recover()

    after = await deadline.write([Entry("predictions/later.json", b"{}")])

    assert (during, after) == (RecordStatus.PENDING, RecordStatus.STORED)
    assert len(store.objects) == 3


async def test_a_record_is_lost_when_the_store_is_unavailable_and_the_journal_full(tmp_path: Path) -> None:
    store = FakeStore()
    store.away = True
    writer, _, counted = make_writer(store, tmp_path, journal=10)

    assert await writer.write(ENTRIES * 10) == RecordStatus.LOST
    assert counted == [RecordStatus.LOST]


class RefusingStore(FakeStore):
    """A store that refuses the key of every object."""

    def put(self, key: str, data: bytes, *, only_if_absent: bool = False) -> None:
        raise InvalidKey(f"{key!r} is not a valid key")


@pytest.mark.parametrize(("journal", "status"), [(10_000, RecordStatus.PENDING), (10, RecordStatus.LOST)])
async def test_a_record_the_store_refuses_goes_to_the_journal_or_is_lost(
    tmp_path: Path, journal: int, status: RecordStatus
) -> None:
    writer, _, counted = make_writer(RefusingStore(), tmp_path, journal=journal)

    assert await writer.write(ENTRIES * 10) == status
    assert counted == [status]


async def test_records_beyond_the_backlog_limit_are_lost_and_the_backlog_is_measured(tmp_path: Path) -> None:
    gauge = Gauge("backlog", "Bytes being written.", registry=None)
    writer, inner, _ = make_writer(SlowStore(), tmp_path)
    writer = DeadlineWriter(inner, deadline_s=DEADLINE_S, max_backlog_bytes=100, set_backlog=gauge.set)

    statuses = await asyncio.gather(*(writer.write([Entry(f"k/{n}", bytes(40))]) for n in range(4)))
    during = gauge.collect()[0].samples[0].value
    await writer.close()

    assert sorted(statuses) == [RecordStatus.LOST, RecordStatus.LOST, RecordStatus.PENDING, RecordStatus.PENDING]
    assert (during, gauge.collect()[0].samples[0].value) == (80, 0)


async def test_whether_the_store_responds_is_known_within_a_few_deadlines(tmp_path: Path) -> None:
    store = FakeStore()
    _, inner, _ = make_writer(store, tmp_path)
    writer = DeadlineWriter(inner, deadline_s=DEADLINE_S, max_backlog_bytes=1000, probe_interval_s=0.0)

    up = await writer.store_responds()
    store.away = True

    assert (up, await writer.store_responds(), store.objects) == (True, False, {})
