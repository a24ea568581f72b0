from datetime import UTC, datetime
from pathlib import Path

import pytest

from components.shared.correction_photos import photo_revision
from product_classifier.feedback.records import ProductContent, image_key
from product_classifier.feedback.trust import Label, product_key
from product_classifier.retraining import write_snapshot
from product_classifier.store import ObjectStore, open_store

DIGESTS = ["a" * 64, "b" * 64]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"file://{tmp_path}/store"


@pytest.fixture
def store(url: str) -> ObjectStore:
    return open_store(url, create=True)


def snapshot_of(store: ObjectStore, *digests: str | None) -> str:
    products = [ProductContent(designation="un livre", image_sha256=digest) for digest in digests]
    now = datetime(2030, 1, 1, tzinfo=UTC)
    return write_snapshot(store, [Label(product_key(one), one, 40, "f0", now, "trusted") for one in products])


def test_the_revision_changes_when_a_photo_is_lost_altered_or_restored(store: ObjectStore, url: str) -> None:
    for digest in DIGESTS:
        store.put(image_key(digest), b"photo")
    snapshot = snapshot_of(store, *DIGESTS, None)
    complete = photo_revision(url, snapshot)
    store.put(image_key(DIGESTS[0]), b"other")
    altered = photo_revision(url, snapshot)
    store.delete(image_key(DIGESTS[0]))
    missing = photo_revision(url, snapshot)
    store.put(image_key(DIGESTS[0]), b"photo")

    assert complete == photo_revision(url, snapshot)
    assert 3 == len({complete, altered, missing})


def test_without_a_snapshot_the_store_is_not_read() -> None:
    assert "" == photo_revision("file:///no/such/folder", "")


def test_an_unreadable_snapshot_is_left_to_the_step_that_merges(store: ObjectStore, url: str) -> None:
    store.put(f"datasets/{DIGESTS[0]}/manifest.json", b"{}")

    assert ["", ""] == [photo_revision(url, snapshot) for snapshot in DIGESTS]
