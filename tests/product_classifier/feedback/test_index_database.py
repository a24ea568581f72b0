"""The file of the index is damaged, of another store, shared by processes or left by a killed one."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from product_classifier.errors import IndexUnavailable
from product_classifier.feedback.trust import states, trusted_labels
from product_classifier.store import open_store
from tests.support.corrections import (
    ROLES,
    CountingStore,
    make_correction,
    open_index,
    put,
)
from tests.support.fakes import FakeStore


def build(store: FakeStore, path: Path) -> None:
    put(store, make_correction("a", "rita"), make_correction("b"))
    index = open_index(store, path)
    index.refresh()
    index.close()


def test_an_index_on_disk_is_used_again_without_reading_objects(tmp_path: Path) -> None:
    store = CountingStore()
    build(store, tmp_path / "index.sqlite")
    reads = store.reads
    index = open_index(store, tmp_path / "index.sqlite")
    index.refresh()

    assert (2, reads, 1) == (len(index.corrections()), store.reads, len(index.labels()))


def damage_the_header(path: Path) -> None:
    path.write_bytes(b"not a database" * 1000)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def overwrite_the_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:12_288] = os.urandom(8192)
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def drop_the_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM meta WHERE name = 'version'")


def delete(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    "damage",
    [damage_the_header, truncate, overwrite_the_middle, empty, drop_the_version, delete],
    ids=lambda f: f.__name__,
)
def test_a_damaged_or_missing_index_is_built_again(tmp_path: Path, damage: Any) -> None:
    store, path = FakeStore(), tmp_path / "index.sqlite"
    build(store, path)
    damage(path)
    index = open_index(store, path)
    index.refresh()

    assert (2, 1) == (len(index.corrections()), len(index.labels()))


def test_an_index_of_another_store_is_built_again(tmp_path: Path) -> None:
    store = CountingStore()
    build(store, tmp_path / "index.sqlite")
    index = open_index(store, tmp_path / "index.sqlite", store_name="file:///other")
    index.refresh()

    assert (4, 2) == (store.reads, len(index.corrections()))


def test_an_index_that_is_damaged_while_in_use_is_built_again(tmp_path: Path) -> None:
    store, path = FakeStore(), tmp_path / "index.sqlite"
    put(store, *(make_correction(f"produit {number}", "rita") for number in range(300)))
    index = open_index(store, path)
    index.refresh()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    path.write_bytes(data)
    for _ in range(5):
        with suppress(IndexUnavailable):
            index.refresh()

    assert (300, 300) == (len(index.corrections()), len(index.labels()))


def test_a_second_process_on_one_folder_has_an_index_of_its_own(tmp_path: Path) -> None:
    store, path = FakeStore(), tmp_path / "index.sqlite"
    put(store, make_correction("a", "rita"))
    first, second = open_index(store, path), open_index(store, path)
    first.refresh()
    second.refresh()
    second.add(make_correction("b", "rita"))

    assert (1, 2) == (len(first.labels()), len(second.labels()))


KILLED = """
import sys
from pathlib import Path
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.store import open_store
from product_classifier.catalogue.challenge import CHALLENGE

index = FeedbackIndex(open_store(sys.argv[1]), Path(sys.argv[2]))
print("open", flush=True)
while True:
    index.sweep()
    index.set_watermark("some", [(label.product_key, label.code) for label in index.labels()][::2])
    index.set_watermark("", [])
"""


def test_a_kill_at_any_moment_leaves_an_index_that_agrees_with_the_rule(tmp_path: Path) -> None:
    store, path, random = open_store(f"file://{tmp_path}/store", create=True), tmp_path / "index.sqlite", Random(5)
    corrections = [
        make_correction(f"produit {number % 200}", random.choice(sorted(ROLES)), number % 2) for number in range(600)
    ]
    for correction in corrections:
        folder = tmp_path / "store" / Path(correction.key).parent
        folder.mkdir(parents=True, exist_ok=True)
        (tmp_path / "store" / correction.key).write_bytes(correction.to_json())
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, f"file://{tmp_path}/store", str(path)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert b"open\n" == process.stdout.readline()
            time.sleep(random.uniform(0, 0.4))
            process.send_signal(signal.SIGKILL)
    index = open_index(store, path)
    index.refresh()
    index.set_watermark("", [])

    assert states(corrections, {}) == index.states()
    assert trusted_labels(corrections, {}) == index.labels()
    assert len(index.labels()) == index.new_label_count()
