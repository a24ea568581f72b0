import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.shared.raw import fetch, photo_path, revision
from product_classifier.errors import CatalogueError, StoreUnavailable
from product_classifier.store import open_store
from tests.support.servers import MINIO_PASSWORD, MINIO_USER, moto_server


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture
def bucket(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("S3_ENDPOINT", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", MINIO_USER)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", MINIO_PASSWORD)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "machine"))
    (tmp_path / "machine").mkdir()
    store = open_store("s3://raw-files", create=True)
    store.put("2026/X_train.csv", b"x")
    store.put("2026/images/a.jpg", b"photo")
    store.put("2026-other/X_train.csv", b"other")
    return "s3://raw-files"


@pytest.mark.parametrize("location", ["data/raw", "/data/raw", "file:///data/my%20raw"])
def test_a_folder_is_used_in_place(location: str) -> None:
    assert Path(location.removeprefix("file://").replace("%20", " ")) == fetch(location)


@pytest.mark.parametrize(
    ("raw", "image_path", "expected"),
    [
        pytest.param("/data/raw", "images/a.jpg", "/data/raw/images/a.jpg", id="relative"),
        pytest.param("/elsewhere", "/data/raw/images/a.jpg", "/data/raw/images/a.jpg", id="absolute"),
        pytest.param("data/raw", "data/raw/images/a.jpg", "data/raw/images/a.jpg", id="begins with the raw folder"),
    ],
)
def test_photos_of_present_and_of_older_datasets_are_found(raw: str, image_path: str, expected: str) -> None:
    assert Path(expected) == photo_path(Path(raw), image_path)


def test_a_prefix_is_downloaded_without_similar_prefixes(bucket: str) -> None:
    folder = fetch(f"{bucket}/2026")

    assert {"X_train.csv": b"x", "images/a.jpg": b"photo"} == {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_a_second_step_finds_the_copy_at_the_same_path(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fetch(f"{bucket}/2026")
    monkeypatch.setenv("S3_ENDPOINT", "http://127.0.0.1:1")

    assert folder == fetch(f"{bucket}/2026")


def test_an_interrupted_download_is_not_used(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ATTEMPTS", "1")
    with monkeypatch.context() as away:
        away.setattr("product_classifier.store.s3.S3Store.get", _away)
        with pytest.raises(StoreUnavailable):
            fetch(f"{bucket}/2026")

    assert (fetch(f"{bucket}/2026") / "images" / "a.jpg").is_file()


def test_an_empty_prefix_is_named(bucket: str) -> None:
    with pytest.raises(CatalogueError, match="raw-files/2019"):
        fetch(f"{bucket}/2019")


def test_the_revision_of_a_prefix_depends_on_its_objects_only(bucket: str) -> None:
    where, store = f"{bucket}/2026", open_store(bucket)
    names = [revision(where)]
    store.put("2026-other/X_train.csv", b"another")
    store.put("2026/X_train.csv", b"x")
    names.append(revision(where))
    store.put("2026/X_train.csv", b"y")
    names.append(revision(where))
    store.put("2026/images/b.jpg", b"photo")
    names.append(revision(where))

    assert (names[0], 3) == (names[1], len(set(names)))


def test_the_revision_of_a_folder_depends_on_its_files(tmp_path: Path) -> None:
    (tmp_path / "X_train.csv").write_text("x")
    names = [revision(str(tmp_path)), revision(tmp_path.as_uri())]
    (tmp_path / "X_train.csv").write_text("xy")
    names.append(revision(str(tmp_path)))
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").touch()
    names.append(revision(str(tmp_path)))

    assert (names[0], 3) == (names[1], len(set(names)))


def test_files_that_change_during_a_run_stop_it(bucket: str) -> None:
    where = f"{bucket}/2026"
    begun = revision(where)
    assert fetch(where, begun).is_dir()
    open_store(bucket).put("2026/images/a.jpg", b"another photo")

    with pytest.raises(CatalogueError, match="raw-files/2026' changed during the run"):
        fetch(where, begun)


def test_a_folder_without_files_has_no_revision(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="none found"):
        revision(str(tmp_path))


def _away(*_: object) -> bytes:
    raise StoreUnavailable("away")
