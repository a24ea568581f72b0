import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from product_classifier.errors import NotDurable
from product_classifier.store.journal import DamagedRange, Disk, Entry, Journal, OsDisk, frame, read_segment

MARK = bytes(range(8))
NAME = f"00000001-{MARK.hex()}.journal"
FIRST, SECOND, THIRD = (Entry(f"feedback/{number}.json", b"%d" % number * 20) for number in range(3))


class FailingDisk(OsDisk):
    """A disk on which the n-th call of one kind fails; a failing write stores half of its data."""

    def __init__(self, operation: str, at: int, code: int) -> None:
        self._operation, self._at, self._code = operation, at, code
        self._calls = 0

    def create(self, path: Path) -> int:
        self._count("create")
        return super().create(path)

    def write(self, descriptor: int, data: bytes) -> int:
        try:
            self._count("write")
        except OSError:
            os.write(descriptor, data[: len(data) // 2])
            raise
        return super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self._count("sync")
        super().sync(descriptor)

    def _count(self, operation: str) -> None:
        if operation == self._operation:
            self._calls += 1
            if self._calls == self._at:
                raise OSError(self._code, os.strerror(self._code))


class SlowDisk(OsDisk):
    """A disk that writes at most 7 bytes per call."""

    def write(self, descriptor: int, data: bytes) -> int:
        return super().write(descriptor, data[:7])


def open_journal(folder: Path, disk: Disk | None = None, max_bytes: int = 1 << 20) -> Journal:
    return Journal(folder, max_bytes=max_bytes, disk=disk)


def content(journal: Journal) -> list[Entry | DamagedRange]:
    return [found for segment in journal.rotate() for found in read_segment(segment)]


def test_records_survive_the_process(tmp_path: Path) -> None:
    open_journal(tmp_path).append([FIRST])
    open_journal(tmp_path).append([SECOND, THIRD])

    assert content(open_journal(tmp_path)) == [FIRST, SECOND, THIRD]


def test_partial_writes_are_completed(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, SlowDisk())
    journal.append([FIRST, SECOND])

    assert content(journal) == [FIRST, SECOND]


def test_a_discarded_segment_frees_its_space(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.append([FIRST])
    for segment in journal.rotate():
        journal.discard(segment, damaged=False)

    assert (content(open_journal(tmp_path)), journal.size) == ([], 0)


def test_a_damaged_segment_is_kept_but_not_replayed_again(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.append([FIRST])
    for segment in journal.rotate():
        journal.discard(segment, damaged=True)

    assert (journal.rotate(), len(list(tmp_path.glob("*.damaged")))) == ([], 1)


def test_a_full_journal_refuses_records_and_preserves_the_others(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, max_bytes=100)
    journal.append([FIRST])

    with pytest.raises(NotDurable, match="full"):
        journal.append([Entry("feedback/big.json", b"x" * 100)])

    assert content(journal) == [FIRST]


@pytest.mark.parametrize("operation", ["create", "write", "sync"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_failing_disk_refuses_one_record_and_loses_none(tmp_path: Path, operation: str, code: int) -> None:
    refused = 0
    accepted: list[Entry] = []
    journal = open_journal(tmp_path, FailingDisk(operation, at=1 if operation == "create" else 3, code=code))
    for entry in (FIRST, SECOND, THIRD, FIRST):
        try:
            journal.append([entry])
        except NotDurable:
            refused += 1
        else:
            accepted.append(entry)

    found = [entry for entry in content(open_journal(tmp_path)) if isinstance(entry, Entry)]
    assert refused == 1
    assert [entry for entry in found if entry in accepted] == found or operation == "sync"
    assert all(entry in found for entry in accepted)


def damage_by_truncating(data: bytes, place: int) -> bytes:
    return data[:place]


def damage_by_flipping(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]


def damage_by_zeroing(data: bytes, place: int) -> bytes:
    return data[:place] + b"\0" * (len(data) - place)


@pytest.mark.parametrize("damage", [damage_by_truncating, damage_by_flipping, damage_by_zeroing])
def test_every_damaged_byte_is_reported_and_loses_only_its_record(
    tmp_path: Path, damage: Callable[[bytes, int], bytes]
) -> None:
    frames = [frame(entry, MARK) for entry in (FIRST, SECOND, THIRD)]
    data = b"".join(frames)
    path = tmp_path / NAME
    unreported = []
    for place in range(len(data)):
        path.write_bytes(damage(data, place))
        found = list(read_segment(path))
        entries = [entry for entry in found if isinstance(entry, Entry)]
        damages = [entry for entry in found if isinstance(entry, DamagedRange)]
        whole_frames = place in {0, len(frames[0]), len(frames[0]) + len(frames[1])}
        hit = sum(place >= end for end in (len(frames[0]), len(frames[0]) + len(frames[1])))
        expected = [entry for number, entry in enumerate((FIRST, SECOND, THIRD)) if number != hit]
        survivors = expected if damage is damage_by_flipping else expected[:hit]
        cut_between = damage is damage_by_truncating and whole_frames
        if survivors != entries or (not damages and not cut_between):
            unreported.append((place, found))

    assert unreported == []


def test_a_torn_tail_is_distinguished_from_corruption(tmp_path: Path) -> None:
    data = frame(FIRST, MARK) + frame(SECOND, MARK)
    path = tmp_path / NAME
    kinds = []
    for bad in (
        data[:-3],
        damage_by_flipping(data, len(data) - 3),
        damage_by_flipping(data, len(frame(FIRST, MARK)) + 9),
    ):
        path.write_bytes(bad)
        kinds += [found.kind for found in read_segment(path) if isinstance(found, DamagedRange)]

    assert kinds == ["torn", "corrupt", "corrupt"]


def test_content_cannot_imitate_a_frame(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.append([Entry("images/a", frame(FIRST, MARK))])
    (segment,) = journal.rotate()
    segment.write_bytes(damage_by_flipping(segment.read_bytes(), 3))

    assert [DamagedRange] == [type(found) for found in read_segment(segment)]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.text(min_size=1, max_size=20), st.binary(max_size=200)), max_size=10))
def test_entries_round_trip(tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, bytes]]) -> None:
    entries = [Entry(key, data) for key, data in pairs]
    path = tmp_path_factory.mktemp("journal") / NAME
    path.write_bytes(b"".join(frame(entry, MARK) for entry in entries))

    assert list(read_segment(path)) == entries
