"""An entry is in the store or the journal when a write returns, and nowhere twice."""

import errno
import threading
import time
from pathlib import Path

import pytest

from inference.durability.writer import DurableWriter
from product_classifier.errors import NotDurable, ObjectExists, StoreUnavailable
from product_classifier.store.journal import Entry, Journal
from tests.product_classifier.store.test_journal import FailingDisk
from tests.support.fakes import FakeStore

PROBE_KEY = "feedback/probe"
RECORD, PHOTO = Entry("feedback/1.json", b"{}"), Entry("images/aa", b"photo")


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


def journal(folder: Path, max_bytes: int = 10_000) -> Journal:
    return Journal(folder, max_bytes=max_bytes)


def test_a_record_and_its_photo_go_to_the_store_while_it_is_available(store: FakeStore, tmp_path: Path) -> None:
    writer = DurableWriter(store, journal(tmp_path), probe_key=PROBE_KEY)

    assert "store" == writer.create(RECORD, [PHOTO])
    assert {RECORD.key: RECORD.data, PHOTO.key: PHOTO.data} == store.objects
    assert [] == list(tmp_path.iterdir())


def test_a_record_that_exists_in_the_store_is_not_created_again(store: FakeStore, tmp_path: Path) -> None:
    writer = DurableWriter(store, journal(tmp_path), probe_key=PROBE_KEY)
    writer.create(RECORD)

    with pytest.raises(ObjectExists):
        writer.create(Entry(RECORD.key, b"other"))
    assert "store" == writer.write([Entry(RECORD.key, b"other")])
    assert RECORD.data == store.objects[RECORD.key]


def test_a_record_that_exists_in_the_journal_is_not_created_again(store: FakeStore, tmp_path: Path) -> None:
    store.away = True
    DurableWriter(store, journal(tmp_path), probe_key=PROBE_KEY).create(RECORD)
    restarted = DurableWriter(store, journal(tmp_path), probe_key=PROBE_KEY)

    with pytest.raises(ObjectExists):
        restarted.create(RECORD)
    assert ([RECORD.key], RECORD.data) == (restarted.pending_keys(), restarted.pending(RECORD.key))


def test_the_store_is_not_tried_again_until_it_has_recovered(store: FakeStore, tmp_path: Path) -> None:
    writer = DurableWriter(store, journal(tmp_path), probe_key=PROBE_KEY)
    store.away = True
    first = writer.create(RECORD, [PHOTO])
    store.away = False
    second = writer.create(Entry("feedback/2.json", b"{}"))
    before = dict(store.objects)
    writer.recover()

    assert ("journal", "journal", {}) == (first, second, before)
    assert {RECORD.key, PHOTO.key, "feedback/2.json"} == set(store.objects)
    assert (False, 0, 3) == (writer.store_unavailable, writer.pending_count, writer.replayed)
    assert [] == list(tmp_path.iterdir())


def test_recovery_fails_and_the_journal_stays_while_the_store_is_unavailable(store: FakeStore, tmp_path: Path) -> None:
    writer = DurableWriter(store, journal(tmp_path), probe_key=PROBE_KEY)
    store.away = True
    writer.create(RECORD)

    with pytest.raises(StoreUnavailable):
        writer.recover()
    assert (True, 1) == (writer.store_unavailable, writer.pending_count)


def test_without_a_journal_an_outage_refuses_entries(store: FakeStore) -> None:
    writer = DurableWriter(store, None, probe_key=PROBE_KEY)
    store.away = True

    with pytest.raises(NotDurable, match="no journal"):
        writer.create(RECORD)
    with pytest.raises(NotDurable, match="no journal"):
        writer.check_journal()


@pytest.mark.parametrize("operation", ["create", "write", "sync"])
def test_a_record_the_disk_refuses_is_not_pending_and_may_be_created_again(
    store: FakeStore, tmp_path: Path, operation: str
) -> None:
    store.away = True
    disk = FailingDisk(operation, at=1, code=errno.ENOSPC)
    writer = DurableWriter(store, Journal(tmp_path, max_bytes=10_000, disk=disk), probe_key=PROBE_KEY)

    with pytest.raises(NotDurable):
        writer.create(RECORD)
    assert 0 == writer.pending_count
    assert "journal" == writer.create(RECORD)


def test_memory_does_not_grow_with_the_journal_without_an_index(store: FakeStore, tmp_path: Path) -> None:
    writer = DurableWriter(store, journal(tmp_path), index_pending=False, probe_key=PROBE_KEY)
    store.away = True
    writer.write([RECORD, PHOTO])
    during = writer.pending_count
    store.away = False
    writer.recover()

    assert 0 == during
    assert {RECORD.key, PHOTO.key} == set(store.objects)


def test_a_running_writer_replays_soon_after_the_store_recovers_and_reports_it(
    store: FakeStore, tmp_path: Path
) -> None:
    writer = DurableWriter(store, journal(tmp_path), max_pause_s=0.3, probe_key=PROBE_KEY)
    replayed = threading.Event()
    writer.on_replayed = replayed.set
    thread = threading.Thread(target=writer.run)
    thread.start()
    store.away = True
    writer.create(RECORD, [PHOTO])
    time.sleep(0.5)
    store.away = False
    reported = replayed.wait(5)
    writer.close()
    thread.join()

    assert reported
    assert {RECORD.key, PHOTO.key} == set(store.objects)


def test_a_defect_in_the_placement_does_not_end_the_replay(store: FakeStore, tmp_path: Path) -> None:
    attempts: list[str] = []

    def fails_once(entry: Entry) -> None:
        attempts.append(entry.key)
        if len(attempts) == 1:
            raise ZeroDivisionError
        store.put(entry.key, entry.data)

    store.away = True
    writer = DurableWriter(store, journal(tmp_path), fails_once, max_pause_s=0.05, probe_key=PROBE_KEY)
    writer.create(RECORD)
    store.away = False
    thread = threading.Thread(target=writer.run)
    thread.start()
    end = time.monotonic() + 5
    while writer.pending_count and time.monotonic() < end:
        time.sleep(0.01)
    writer.close()
    thread.join()

    assert ([RECORD.key] * 2, 0) == (attempts, writer.pending_count)
