"""Contract tests of the object stores: folder, memory, moto, and MinIO if its binary is installed."""

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from pydantic import ValidationError

from product_classifier.errors import InvalidKey, ObjectExists, ObjectNotFound, StoreUnavailable
from product_classifier.store import ObjectStore, StoreSettings, open_store
from product_classifier.store.claims import exclusive_claim
from product_classifier.store.file import FileStore
from product_classifier.store.object_keys import RESERVED
from product_classifier.store.s3 import S3Store
from tests.support.fakes import FakeStore, FolderOrderStore, folder_position
from tests.support.servers import interrupted, minio_binary, minio_server, moto_server, s3_settings

BAD_KEYS = [
    "", "/", "/etc/passwd", "..", "../up", "a/../../up", "a/..", "./a", "a//b", "a/", "a\\b", "a\x00b", "a\nb", "\x7f",
    "\ud800", "é" * 513, "a" * 256, f"{RESERVED}/locks/00",
]  # fmt: skip

GOOD_KEYS = [
    "a",
    "a/b c",
    "é/ü?&=#%+.json",
    "dt=2026-01-01/x.json",
    "a..b/..c",
    "日本/🧸",
    "a" * 255,
    "/".join(["x"] * 512),
]


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture(scope="module")
def minio() -> Iterator[str]:
    binary = minio_binary()
    if not binary:
        pytest.skip("no MinIO server: put `minio` on PATH or name it in MINIO_BINARY")
    with minio_server(binary) as url:
        yield url


@pytest.fixture(params=["folder", "memory", "moto", "minio", "s3 without conditions", "s3 in folder order"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        return open_store(f"file://{tmp_path}/store", create=True)
    if request.param == "memory":
        return FakeStore()
    server = "minio" if request.param == "minio" else "moto"
    store = open_store(f"s3://test-{uuid.uuid4().hex}", s3_settings(request.getfixturevalue(server)), create=True)
    if request.param == "s3 without conditions":
        store.__dict__["_is_conditional"] = False
    return FolderOrderStore(store) if request.param == "s3 in folder order" else store


def test_an_object_is_read_as_it_was_written(store: ObjectStore) -> None:
    content = bytes(range(256)) * 5000
    store.put("images/x", content)

    assert content == store.get("images/x")
    assert len(content) == store.head("images/x").size
    assert store.exists("images/x")


def test_an_empty_object_exists(store: ObjectStore) -> None:
    store.put("empty", b"")

    assert (b"", 0, True) == (store.get("empty"), store.head("empty").size, store.exists("empty"))


def test_a_missing_object_is_not_found(store: ObjectStore) -> None:
    for operation in (store.get, store.head):
        with pytest.raises(ObjectNotFound, match="no/such"):
            operation("no/such")
    assert not store.exists("no/such")


def test_a_later_put_replaces_the_object_and_its_etag(store: ObjectStore) -> None:
    store.put("a", b"1")
    first = store.head("a").etag
    store.put("a", b"2")

    assert b"2" == store.get("a")
    assert first != store.head("a").etag


def test_a_write_once_object_keeps_its_first_content(store: ObjectStore) -> None:
    store.put("a/b", b"first", only_if_absent=True)

    with pytest.raises(ObjectExists, match="a/b"):
        store.put("a/b", b"second", only_if_absent=True)
    assert b"first" == store.get("a/b")


def test_exactly_one_of_many_writers_creates_an_object(store: ObjectStore) -> None:
    def create(writer: int) -> int | None:
        try:
            store.put("claim", str(writer).encode(), only_if_absent=True)
        except ObjectExists:
            return None
        return writer

    with ThreadPoolExecutor(6) as pool:
        winners = [writer for writer in pool.map(create, range(6)) if writer is not None]

    assert [int(store.get("claim"))] == winners


def test_deletion_is_idempotent(store: ObjectStore) -> None:
    store.put("a", b"")
    store.delete("a")
    store.delete("a")

    assert not store.exists("a")
    store.put("a", b"again", only_if_absent=True)


def test_keys_are_listed_by_prefix_each_folder_in_byte_order_without_reserved_ones(store: ObjectStore) -> None:
    keys = ["b/2", "b/10", "a", "b.txt", "b/é", "b/z", "c/d/e"]
    for key in keys:
        store.put(key, b"", only_if_absent=True)

    listed = list(store.list())
    assert sorted(keys) == sorted(listed)
    assert ["a", "b.txt"] == [key for key in listed if "/" not in key]
    assert ["b/10", "b/2", "b/z", "b/é"] == [key for key in listed if key.startswith("b/")]
    assert ["b/10", "b/2", "b/z", "b/é"] == list(store.list("b/"))
    assert ["b/10"] == list(store.list("b/1"))
    assert [] == list(store.list("nothing/"))


@pytest.mark.parametrize("prefix", ["", "b", "b/", "b/1", "c/d/"])
def test_a_listing_starts_after_any_text(store: ObjectStore, prefix: str) -> None:
    keys = ["a", "b.txt", "b/10", "b/2", "b/z", "b/é", "b0/x", "c/d/e"]
    for key in keys:
        store.put(key, b"", only_if_absent=True)
    orders = {"whole keys": str.encode, "folder by folder": folder_position}
    for after in ("", "a", "a/", "b", "b.", "b.txt", "b/", "b/10", "b/1", "b/zz", "b0", "c/d/e", "d", "é"):
        listed = list(store.list(prefix, start_after=after))
        expected = [
            sorted((key for key in keys if key.startswith(prefix) and position(key) > position(after)), key=position)
            for position in orders.values()
        ]

        assert listed in expected


def test_a_folder_is_read_when_its_first_key_is_due(tmp_path: Path) -> None:
    store = FileStore(tmp_path, create=True)
    for key in ("feedback/dt=1/a", "feedback/dt=2/b", "feedback/dt=3/c"):
        store.put(key, b"")
    keys = store.list("feedback/", start_after="feedback/dt=2")
    first = next(keys)
    store.put("feedback/dt=3/b", b"")

    assert ["feedback/dt=2/b", "feedback/dt=3/b", "feedback/dt=3/c"] == [first, *keys]


@pytest.mark.parametrize("key", GOOD_KEYS, ids=lambda key: ascii(key[:20]))
def test_a_key_may_contain_what_s3_and_file_systems_allow(store: ObjectStore, key: str) -> None:
    store.put(key, b"x", only_if_absent=True)

    assert [key] == list(store.list())
    assert b"x" == store.get(key)


@pytest.mark.parametrize("key", BAD_KEYS, ids=lambda key: ascii(key[:20]))
def test_a_key_that_would_leave_the_bucket_or_differ_between_stores_is_refused(store: ObjectStore, key: str) -> None:
    operations: list[Callable[[], object]] = [
        lambda: store.put(key, b""),
        lambda: store.put(key, b"", only_if_absent=True),
        lambda: store.get(key),
        lambda: store.head(key),
        lambda: store.exists(key),
        lambda: store.delete(key),
    ]
    for operation in operations:
        with pytest.raises(InvalidKey):
            operation()


@pytest.mark.parametrize("prefix", ["../", "/", "a/../", "\x00", f"{RESERVED}/"])
def test_a_prefix_cannot_leave_the_bucket(store: ObjectStore, prefix: str) -> None:
    with pytest.raises(InvalidKey):
        list(store.list(prefix))


def test_listing_continues_after_the_first_page(moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("product_classifier.store.s3.PAGE", 3)
    store = open_store(f"s3://test-{uuid.uuid4().hex}", s3_settings(moto), create=True)
    keys = [f"k{number}" for number in range(7)]
    for key in keys:
        store.put(key, b"")

    assert keys == list(store.list())


def test_a_scan_returns_the_info_of_each_key(moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("product_classifier.store.s3.PAGE", 3)
    store = open_store(f"s3://test-{uuid.uuid4().hex}", s3_settings(moto), create=True)
    assert isinstance(store, S3Store)
    for number in range(4):
        store.put(f"k{number}", b"x" * number)

    assert [(key, store.head(key)) for key in store.list()] == list(store.scan())


@pytest.mark.parametrize(
    "url", ["", "store", "file://host/folder", "file:relative", "s3://", "s3://bucket/folder", "http://x/y", "s4://b"]
)
def test_a_url_that_is_not_a_store_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"file:///folder or s3://bucket"):
        open_store(url)


def test_credentials_in_the_endpoint_are_refused() -> None:
    with pytest.raises(ValidationError, match="must not hold credentials") as caught:
        StoreSettings(s3_endpoint="http://me:hunter2@minio:9000")
    assert "hunter2" not in str(caught.value)


# Folder only


def test_a_missing_folder_is_unavailable_unless_created(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="does not exist"):
        open_store(f"file://{tmp_path}/none")


def test_two_stores_on_one_folder_share_objects(tmp_path: Path) -> None:
    open_store(f"file://{tmp_path}").put("a", b"1")

    assert b"1" == open_store(f"file://{tmp_path}").get("a")


def test_exactly_one_of_several_processes_creates_an_object(tmp_path: Path) -> None:
    program = """
import sys
from product_classifier.errors import ObjectExists
from product_classifier.store import open_store
store = open_store(sys.argv[1])
for number in range(40):
    try:
        store.put(f"claim/{number}", sys.argv[2].encode(), only_if_absent=True)
        print(number)
    except ObjectExists:
        pass
"""
    processes = [
        subprocess.Popen([sys.executable, "-c", program, f"file://{tmp_path}", name], stdout=subprocess.PIPE, text=True)
        for name in "abc"
    ]
    created = [process.communicate(timeout=60)[0].split() for process in processes]

    assert sorted(map(str, range(40))) == sorted(number for numbers in created for number in numbers)


def test_a_full_disk_is_reported_and_leaves_the_old_content(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put("a", b"old")
    program = """
import resource, signal, sys
from pathlib import Path
from product_classifier.errors import StoreUnavailable
from product_classifier.store.file import FileStore
store = FileStore(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    store.put("a", b"x" * 5000)
except StoreUnavailable as error:
    print(error)
"""
    output = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    ).stdout

    assert "'a': File too large" in output
    assert b"old" == store.get("a")
    assert [] == list((tmp_path / RESERVED / "unfinished").iterdir())


def test_stale_unfinished_writes_are_deleted(tmp_path: Path) -> None:
    FileStore(tmp_path)
    unfinished = tmp_path / RESERVED / "unfinished"
    (unfinished / "fresh").write_bytes(b"")
    (unfinished / "old").write_bytes(b"")
    os.utime(unfinished / "old", (0, 0))

    FileStore(tmp_path)

    assert ["fresh"] == [path.name for path in unfinished.iterdir()]


def test_a_key_below_another_object_is_refused_in_a_folder(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put("a", b"")
    store.put("b/c", b"")

    for key in ("a/b", "b"):
        for only_if_absent in (False, True):
            with pytest.raises(InvalidKey):
                store.put(key, b"", only_if_absent=only_if_absent)


def test_a_deleted_folder_makes_the_store_unavailable(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store", create=True)
    shutil.rmtree(tmp_path / "store")

    with pytest.raises(StoreUnavailable):
        store.put("a", b"")


# S3 only


def test_an_unreachable_store_is_reported_without_credentials() -> None:
    store = open_store("s3://bucket", s3_settings("http://127.0.0.1:1", s3_attempts=1))

    for operation in (lambda: store.put("a", b""), lambda: store.get("a"), lambda: list(store.list())):
        with pytest.raises(StoreUnavailable) as caught:
            operation()
        assert "127.0.0.1:1" in str(caught.value)
        assert "sesame" not in str(caught.value)


def test_wrong_credentials_are_reported_without_quoting_them(minio: str) -> None:
    wrong = StoreSettings(s3_endpoint=minio, aws_access_key_id="stranger", aws_secret_access_key="guess-guess")
    with pytest.raises(StoreUnavailable, match="InvalidAccessKeyId") as caught:
        open_store("s3://bucket", wrong).put("a", b"")
    assert "stranger" not in str(caught.value)
    assert "guess" not in str(caught.value)


def test_a_missing_bucket_is_named(moto: str) -> None:
    with pytest.raises(StoreUnavailable, match=r"s3://nowhere .* NoSuchBucket"):
        open_store("s3://nowhere", s3_settings(moto)).put("a", b"")


@pytest.mark.parametrize("interruption", ["refuse", "lose the reply"])
@pytest.mark.parametrize("only_if_absent", [False, True])
def test_a_write_is_retried_after_a_transient_failure(moto: str, interruption: str, *, only_if_absent: bool) -> None:
    bucket = f"s3://test-{uuid.uuid4().hex}"
    direct = open_store(bucket, s3_settings(moto), create=True)
    with interrupted(moto, [interruption]) as endpoint:
        store = open_store(bucket, s3_settings(endpoint))
        store.__dict__["_is_conditional"] = True
        store.put("a", b"mine", only_if_absent=only_if_absent)

    assert b"mine" == direct.get("a")


def test_a_truncated_response_is_retried(moto: str) -> None:
    bucket = f"s3://test-{uuid.uuid4().hex}"
    open_store(bucket, s3_settings(moto), create=True).put("a", b"x" * 10_000)
    with interrupted(moto, ["cut the reply"], "GET") as endpoint:
        assert b"x" * 10_000 == open_store(bucket, s3_settings(endpoint)).get("a")


@pytest.mark.parametrize("interruption", ["refuse", "hang"])
def test_attempts_are_bounded(moto: str, interruption: str) -> None:
    with interrupted(moto, [interruption] * 9) as endpoint:
        store = open_store("s3://bucket", s3_settings(endpoint, s3_attempts=2, s3_read_timeout_s=0.2))
        with pytest.raises(StoreUnavailable, match=r"\(2 attempts\)"):
            store.put("a", b"")


def test_support_for_conditions_is_detected(moto: str, minio: str) -> None:
    for server in (moto, minio):
        store = open_store(f"s3://test-{uuid.uuid4().hex}", s3_settings(server), create=True)

        assert isinstance(store, S3Store)
        assert store._is_conditional
        assert () == store.list_claims("")


def test_the_claim_of_a_crashed_writer_expires(moto: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(f"s3://test-{uuid.uuid4().hex}", s3_settings(moto), create=True)
    assert isinstance(store, S3Store)
    abandoned = exclusive_claim(store, "a")
    abandoned.__enter__()
    monkeypatch.setattr("product_classifier.store.claims.TIMEOUT_S", 0.5)

    with pytest.raises(StoreUnavailable, match="'a': other writers held the claim"), exclusive_claim(store, "a"):
        pass
    monkeypatch.setattr("product_classifier.store.claims.CLAIM_EXPIRES_S", 0.1)
    with exclusive_claim(store, "a"):
        pass

    assert () == store.list_claims(RESERVED)


class FolderAgainstDictionary(RuleBasedStateMachine):
    """A folder and a dictionary agree after any sequence of operations."""

    keys = st.sampled_from(["a", "b/c", "b/d", "é/ü", "b.x"])
    contents = st.binary(max_size=3)

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.real = FileStore(self.folder)
        self.model = FakeStore()

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @rule(key=keys, data=contents, only_if_absent=st.booleans())
    def put(self, key: str, data: bytes, *, only_if_absent: bool) -> None:
        assert outcome(self.model.put, key, data, only_if_absent=only_if_absent) == outcome(
            self.real.put, key, data, only_if_absent=only_if_absent
        )

    @rule(key=keys)
    def delete(self, key: str) -> None:
        assert outcome(self.model.delete, key) == outcome(self.real.delete, key)

    @rule()
    def reopen(self) -> None:
        self.real = FileStore(self.folder)

    @rule(prefix=st.sampled_from(["", "b", "b/", "é/"]), after=st.sampled_from(["", "a", "b", "b.", "b/c", "c"]))
    def list_a_part(self, prefix: str, after: str) -> None:
        assert list(self.model.list(prefix, start_after=after)) == list(self.real.list(prefix, start_after=after))

    @invariant()
    def agree(self) -> None:
        assert list(self.model.list()) == list(self.real.list())
        assert self.model.objects == {key: self.real.get(key) for key in self.real.list()}


FolderAgainstDictionary.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
test_a_folder_behaves_like_a_dictionary = FolderAgainstDictionary.TestCase


def outcome(operation: Callable[..., object], *arguments: object, **options: object) -> object:
    try:
        return operation(*arguments, **options)
    except (ObjectExists, ObjectNotFound) as error:
        return type(error)
