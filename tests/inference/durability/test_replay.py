"""Replay of segments: every entry is stored, damage is reported, earlier formats are read."""

from functools import partial
from pathlib import Path

import pytest

from inference.durability.replay import JournalReplayer, write_once
from product_classifier.errors import StoreUnavailable
from product_classifier.store.journal import Entry, Journal
from tests.support.fakes import FakeStore

ENTRIES = [Entry(f"feedback/{n}.json", b"payload") for n in range(3)]
EARLIER_NAME = "00000007-00112233445566ff.journal"
EARLIER_SEGMENT = bytes.fromhex(
    "00112233445566ff1000000083885d716b84c6720900696d616765732f616170686f746f"
    "00112233445566ff2400000075e7140e9244e327200070726564696374696f6e732f64743d323032362d30312d30312f782e6a736f6e7b7d"
)
"""A segment as version 465d588 wrote it: a photo and a prediction record."""


def journal_of(folder: Path, entries: list[Entry]) -> Journal:
    journal = Journal(folder, max_bytes=10_000)
    journal.append(entries)
    return journal


def flip_a_byte(folder: Path) -> None:
    (segment,) = folder.glob("*.journal")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)


def tear(folder: Path) -> None:
    (segment,) = folder.glob("*.journal")
    segment.write_bytes(segment.read_bytes()[:-3])


def test_every_entry_is_stored_and_its_segment_deleted(tmp_path: Path) -> None:
    store, stored = FakeStore(), list[str]()
    replayer = JournalReplayer(journal_of(tmp_path, ENTRIES), partial(write_once, store))

    replayer.replay(stored.extend)

    assert {entry.key: entry.data for entry in ENTRIES} == store.objects
    assert [entry.key for entry in ENTRIES] == stored
    assert (3, []) == (replayer.replayed, list(tmp_path.iterdir()))


def test_a_segment_of_an_earlier_version_is_replayed(tmp_path: Path) -> None:
    (tmp_path / EARLIER_NAME).write_bytes(EARLIER_SEGMENT)
    store = FakeStore()

    JournalReplayer(Journal(tmp_path, max_bytes=10_000), partial(write_once, store)).replay()

    assert {"images/aa": b"photo", "predictions/dt=2026-01-01/x.json": b"{}"} == store.objects


def test_photos_are_stored_before_the_records_that_name_them(tmp_path: Path) -> None:
    order: list[str] = []
    entries = [*ENTRIES, Entry("images/aa", b"photo")]

    JournalReplayer(journal_of(tmp_path, entries), lambda entry: order.append(entry.key)).replay()

    assert "images/aa" == order[0]
    assert 4 == len(order)


@pytest.mark.parametrize(("damage", "kind"), [(flip_a_byte, "corrupt"), (tear, "torn")])
def test_damage_costs_one_record_is_reported_and_its_segment_is_set_aside(
    tmp_path: Path, damage: object, kind: str
) -> None:
    store = FakeStore()
    journal_of(tmp_path, ENTRIES).close()
    assert callable(damage)
    damage(tmp_path)
    replayer = JournalReplayer(Journal(tmp_path, max_bytes=10_000), partial(write_once, store))

    replayer.replay()

    assert 2 == len(store.objects)
    assert [kind] == [found.kind for found in replayer.damages]
    assert [".damaged"] == [path.suffix for path in tmp_path.iterdir()]


def test_after_a_failure_only_the_entries_that_are_missing_are_placed_again(tmp_path: Path) -> None:
    store, attempts, fail = FakeStore(), list[str](), [True]

    def place(entry: Entry) -> None:
        attempts.append(entry.key)
        if entry.key == ENTRIES[2].key and fail:
            raise StoreUnavailable("reset by peer")
        write_once(store, entry)

    replayer = JournalReplayer(journal_of(tmp_path, ENTRIES), place)
    with pytest.raises(StoreUnavailable):
        replayer.replay()
    segments, stored = list(tmp_path.iterdir()), set(store.objects)
    fail.clear()
    attempts.clear()
    replayer.replay()

    assert (1, 3) == (len(segments), len(store.objects))
    assert not stored & set(attempts)
