"""Photos at the gateway: what is stored, and what they cost their user."""

import hashlib

import pytest

from inference.auth_proxy.predictions.decoding_budget import DecodingBudget
from inference.auth_proxy.predictions.product_reader import RequestProduct
from inference.auth_proxy.rate_limits import RateLimits
from inference.http.problems import Problem
from product_classifier.feedback.records import image_key
from product_classifier.images.image_info import ImageInfo
from tests.inference.auth_proxy.conftest import Gateway, as_base64
from tests.support.photo_structures import TAILS, photos

PHOTOS = photos()


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_a_photo_is_stored_without_the_bytes_behind_the_picture(gateway: Gateway, name: str) -> None:
    picture = PHOTOS[name]

    for tail in TAILS.values():
        reply = gateway.client().post("/predict", json={"image": as_base64(picture + tail)})
        assert (200, "stored") == (reply.status_code, reply.headers["Prediction-Record"])

    assert picture == gateway.store.get(image_key(hashlib.sha256(picture).hexdigest()))


def test_megapixels_are_limited_per_user() -> None:
    limits = RateLimits(products="100/second", megapixels="30/minute")
    limits.spend_megapixels("ada", 16)

    with pytest.raises(Problem) as refused:
        limits.spend_megapixels("ada", 16)
    limits.spend_megapixels("bob", 16)
    with pytest.raises(Problem, match="31 megapixels"):
        limits.spend_megapixels("carl", 31)

    assert 429 == refused.value.status
    assert 1 <= int(refused.value.headers["Retry-After"]) <= 60


def test_the_decoding_time_in_progress_is_limited_per_user() -> None:
    budget = DecodingBudget(300)
    large = RequestProduct(image=b"x", photo=ImageInfo("PNG", 3000, 3000, decoding_ms=200))

    with budget.admit("ada", [large] * 4):  # a request of a user without another one is admitted
        with pytest.raises(Problem, match="800 ms") as refused, budget.admit("ada", [large]):
            pass
        with budget.admit("ada", [RequestProduct("text")]), budget.admit("bob", [large]):
            pass
    with budget.admit("ada", [large]):
        pass

    assert (429, "1") == (refused.value.status, refused.value.headers["Retry-After"])
