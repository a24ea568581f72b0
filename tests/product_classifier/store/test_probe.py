"""Whether a store that can be read can also be written, and what becomes of a store that vanishes."""

import os
import shutil
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from product_classifier.errors import ObjectNotFound, StoreError, StoreUnavailable
from product_classifier.store.file import FileStore
from product_classifier.store.folders import make_private_folder
from product_classifier.store.journal import Entry, Journal
from product_classifier.store.probe import StoreProbe, probe_store
from tests.support.fakes import FakeStore

KEY = "images/probe"


def remove(root: Path) -> None:
    shutil.rmtree(root)


def replace_with_file(root: Path) -> None:
    shutil.rmtree(root)
    root.write_bytes(b"")


def replace_with_empty_folder(root: Path) -> None:
    """What a mount point is when nothing is mounted."""
    shutil.rmtree(root)
    root.mkdir()


VANISHED = [remove, replace_with_file, replace_with_empty_folder]
OPERATIONS: dict[str, Callable[[FileStore], object]] = {
    "put": lambda store: store.put("a/b", b"x"),
    "put once": lambda store: store.put("a/new", b"x", only_if_absent=True),
    "get": lambda store: store.get("a/b"),
    "head": lambda store: store.head("a/b"),
    "exists": lambda store: store.exists("a/b"),
    "list": lambda store: list(store.list("a/")),
    "list all": lambda store: list(store.list()),
    "delete": lambda store: store.delete("a/b"),
    "probe": lambda store: probe_store(store, KEY),
}


@pytest.mark.parametrize("vanish", VANISHED)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_store_whose_folder_vanished_is_unavailable_and_not_created_again(
    tmp_path: Path, vanish: Callable[[Path], None], operation: str
) -> None:
    root = tmp_path / "store"
    store = FileStore(root, create=True)
    store.put("a/b", b"x")
    vanish(root)

    with pytest.raises(StoreUnavailable, match=r"no longer exists|Not a directory"):
        OPERATIONS[operation](store)
    assert not root.is_dir() or list(root.iterdir()) == []


def test_a_folder_that_comes_back_is_used_again(tmp_path: Path) -> None:
    root = tmp_path / "store"
    store = FileStore(root, create=True)
    store.put("a/b", b"x")
    root.rename(tmp_path / "away")
    with pytest.raises(StoreUnavailable):
        store.get("a/b")
    (tmp_path / "away").rename(root)

    assert (store.get("a/b"), store.exists("a/c"), list(store.list())) == (b"x", False, ["a/b"])
    with pytest.raises(ObjectNotFound):
        store.get("a/c")


def test_a_probe_leaves_nothing(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store", create=True)

    assert StoreProbe(partial(probe_store, store, KEY), deadline_s=5.0).check()
    assert list(store.list()) == []


def test_a_store_that_responds_to_reads_and_refuses_writes_is_not_ready(tmp_path: Path) -> None:
    """The limit of the size of files makes every write fail in the operating system, as a full disk does."""
    code = f"""
        import resource
        from functools import partial
        from pathlib import Path
        from product_classifier.errors import NotDurable
        from product_classifier.store.file import FileStore
        from product_classifier.store.journal import Journal
        from product_classifier.store.probe import StoreProbe, probe_store
        store = FileStore(Path({str(tmp_path / "store")!r}), create=True)
        journal = Journal(Path({str(tmp_path / "journal")!r}), max_bytes=1000)
        store.put("a", b"x")
        journal.check()
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        probe = StoreProbe(partial(probe_store, store, {KEY!r}), deadline_s=5.0)
        try:
            journal.check()
        except NotDurable as error:
            print(store.get("a"), probe.check(), error)
    """
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, capture_output=True, text=True)

    assert result.stdout.splitlines()[-1] == "b'x' False journal cannot store a record: File too large"
    assert "store_probe_failed" in result.stdout + result.stderr
    assert sorted(path.name for path in (tmp_path / "journal").iterdir()) == []


def test_a_success_is_reused_for_the_interval_and_a_failure_for_a_second() -> None:
    now, store, probed = 0.0, FakeStore(), list[float]()

    def probe() -> None:
        probed.append(now)
        probe_store(store, KEY)

    readiness = StoreProbe(probe, deadline_s=5.0, interval_s=5.0, clock=lambda: now)
    seen = []
    for now in range(20):
        store.away = 6 <= now < 9
        seen.append(readiness.check())

    assert probed == [0, 6, 8, 10, 16]
    assert seen == [True] * 6 + [False] * 4 + [True] * 10


def test_a_store_that_hangs_is_not_ready_within_the_deadline_and_takes_one_thread() -> None:
    released, started = threading.Event(), list[int]()

    def hang() -> None:
        started.append(1)
        released.wait(30)

    probe = StoreProbe(hang, deadline_s=0.05, interval_s=0.0)
    began = time.monotonic()
    results = [probe.check() for _ in range(5)]
    took_s = time.monotonic() - began
    released.set()
    deadline = time.monotonic() + 10
    while not probe.check() and time.monotonic() < deadline:
        time.sleep(0.01)

    assert (results, took_s < 5.0) == ([False] * 5, True)
    assert started[:1] == [1]
    assert probe.check()


@pytest.mark.parametrize("error", [StoreUnavailable("x"), StoreError("x"), OSError("x"), RuntimeError()])
def test_any_error_of_a_probe_is_not_ready(error: Exception) -> None:
    def fail() -> None:
        raise error

    assert StoreProbe(fail, deadline_s=5.0).check() is False


def test_objects_journal_and_their_folders_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = FileStore(tmp_path / "state" / "store", create=True)
        store.put("a/b/c", b"x")
        store.put("a/b/d", b"x", only_if_absent=True)
        Journal(tmp_path / "state" / "journal", max_bytes=1000).append([Entry("k", b"x")])
    finally:
        os.umask(before)

    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").rglob("*") if path.is_file()}
    folders = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").rglob("*") if path.is_dir()}
    assert (modes, folders, stat.S_IMODE((tmp_path / "state").stat().st_mode)) == ({0o600}, {0o700}, 0o700)


def test_a_private_folder_that_exists_stays_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    make_private_folder(tmp_path)

    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o750
