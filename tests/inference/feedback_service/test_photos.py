"""Photos are shown to users who may see a product that has them, as they were sent or as thumbnails."""

import hashlib
import io
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from inference.feedback_service.photos import ThumbnailCache
from product_classifier.feedback.records import ProductContent, image_key
from tests.support.corrections import make_prediction
from tests.support.fakes import FakeStore
from tests.support.feedback_service_harness import FeedbackHarness, photo, photo_correction

SHA256 = hashlib.sha256(photo(0)).hexdigest()
OTHER = hashlib.sha256(photo(1)).hexdigest()


@pytest.fixture
def harness(store: FakeStore) -> Iterator[FeedbackHarness]:
    record = make_prediction("x").model_copy(update={"product": ProductContent(image_sha256=SHA256)})
    store.put(image_key(SHA256), photo(0))
    store.put(record.key, record.to_json())
    with FeedbackHarness(store, None) as harness:
        yield harness


def get(harness: FeedbackHarness, sha256: str, user: str, role: str = "user", etag: str = "", **query: object) -> Any:
    headers = harness.headers(user, role) | ({"If-None-Match": etag} if etag else {})
    return harness.client.get(f"/photos/{sha256}", params=query, headers=headers)


def test_a_photo_is_shown_to_its_user_and_to_reviewers(harness: FeedbackHarness) -> None:
    for user, role, status in (("ann", "user", 200), ("rita", "reviewer", 200), ("bob", "user", 404)):
        response = get(harness, SHA256, user, role)
        assert status == response.status_code
        assert (photo(0) == response.content) == (status == 200)
    assert "image/jpeg" == get(harness, SHA256, "ann").headers["content-type"]


def test_the_photo_of_a_correction_is_shown_to_who_sent_it(harness: FeedbackHarness) -> None:
    before = get(harness, OTHER, "bob")
    harness.submit(photo_correction(1), "bob")

    assert (404, 200, 404) == (
        before.status_code,
        get(harness, OTHER, "bob").status_code,
        get(harness, OTHER, "ann").status_code,
    )


def test_a_thumbnail_is_a_small_jpeg_and_not_sent_again(harness: FeedbackHarness) -> None:
    response = get(harness, SHA256, "ann", size=96)
    image = Image.open(io.BytesIO(response.content))

    assert ("JPEG", (16, 16)) == (image.format, image.size)
    assert response.content == get(harness, SHA256, "ann", size=96).content
    assert 304 == get(harness, SHA256, "ann", etag=response.headers["etag"], size=96).status_code
    assert 200 == get(harness, SHA256, "ann", etag=response.headers["etag"]).status_code
    assert 404 == get(harness, SHA256, "bob", etag=response.headers["etag"], size=96).status_code


def test_a_deleted_photo_another_size_and_no_hash_are_problems(harness: FeedbackHarness, store: FakeStore) -> None:
    assert 422 == get(harness, SHA256, "ann", size=97).status_code
    assert 422 == get(harness, "x" * 64, "ann").status_code
    store.delete(image_key(SHA256))
    assert 404 == get(harness, SHA256, "ann").status_code


def test_the_cache_of_thumbnails_holds_those_used_last_up_to_its_size() -> None:
    cache = ThumbnailCache(10)
    for name in "abc":
        cache.put((name, 96), b"1234")
        cache.get(("a", 96))

    assert [True, False, True] == [cache.get((name, 96)) is not None for name in "abc"]
