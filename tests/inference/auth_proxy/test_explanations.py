"""Explanations through the gateway: `/predict`, `:explain`, and what they count against the rate."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from inference.auth_proxy.predictions.explanation_cost import (
    PHOTO_COST,
    TEXT_COST,
    count_instances,
    explanation_cost,
    model_cost,
)
from inference.auth_proxy.predictions.explanation_schemas import ExplanationView
from inference.auth_proxy.predictions.product_reader import RequestProduct
from inference.auth_proxy.rate_limits import RateLimits
from inference.http.problems import Problem
from product_classifier.feedback.records import prediction_key
from product_classifier.limits import BATCH_PRODUCTS, EXPLANATION_PRODUCTS
from tests.inference.auth_proxy.conftest import Gateway, as_base64, start

MEMBERS = {"explanation", "explanation_problem"}


def test_an_explanation_is_added_to_the_prediction(gateway: Gateway, photo: bytes) -> None:
    client, product = gateway.client(), {"designation": "Livre", "image": as_base64(photo)}
    plain = client.post("/predict", json=product | {"explain": False}).json()
    explained = client.post("/predict", json=product | {"explain": True}).json()

    assert MEMBERS == set(explained) - set(plain)
    assert plain["category"] == explained["category"]
    assert plain["top"] == explained["top"]
    assert plain["modalities"] == explained["modalities"]
    view = ExplanationView.model_validate(explained["explanation"])
    assert (explained["category"]["code"], None) == (view.code, explained["explanation_problem"])
    assert view.text
    assert view.image


def test_an_explained_prediction_is_recorded_as_any_other(gateway: Gateway) -> None:
    reply = gateway.client().post("/predict", json={"designation": "Livre", "explain": True})

    assert "stored" == reply.headers["prediction-record"]
    assert prediction_key(reply.json()["prediction_id"]) in gateway.store.objects
    assert ["/v1/models/fusion-transformer:explain"] == [one.path for one in gateway.models.seen]


def test_a_form_may_request_an_explanation(gateway: Gateway, photo: bytes) -> None:
    client = gateway.client()
    explained = client.post("/predict", data={"explain": "true"}, files={"image": photo}).json()
    plain = client.post("/predict", data={"explain": "false", "designation": "x"}, files={"image": photo}).json()

    assert explained["explanation"]["image"]["grid"]
    assert "explanation" not in plain


def test_the_prediction_is_returned_when_it_cannot_be_explained(gateway: Gateway) -> None:
    gateway.models.cannot_explain = True
    reply = gateway.client().post("/predict", json={"designation": "Livre", "explain": True})

    assert 200 == reply.status_code
    assert reply.json()["category"]
    assert reply.json()["explanation"] is None
    assert "503" in reply.json()["explanation_problem"]
    assert "Traceback" not in reply.text


@pytest.mark.parametrize("value", ["true", 1, [], {}])
def test_another_value_of_explain_is_refused(gateway: Gateway, value: object) -> None:
    reply = gateway.client().post("/predict", json={"designation": "Livre", "explain": value})

    assert 422 == reply.status_code
    assert "product.explain: must be true or false" in reply.json()["detail"]


def test_another_value_of_explain_in_a_form_is_refused(gateway: Gateway, photo: bytes) -> None:
    reply = gateway.client().post("/predict", data={"explain": "yes"}, files={"image": photo})

    assert (422, "form.explain: must be true or false, not 'yes'") == (reply.status_code, reply.json()["detail"])


def test_some_products_of_a_batch_are_explained(gateway: Gateway) -> None:
    rows: list[dict[str, Any]] = [
        {"designation": "a"},
        {"designation": "b", "explain": True},
        {},
        {"designation": "c", "image": as_base64(b"GIF89a"), "explain": True},
    ]
    results = gateway.client().post("/predict/batch", json=rows).json()

    assert [False, True, False, False] == ["explanation" in one for one in results]
    assert [None, None, 422, 422] == [one.get("status") for one in results]


def test_a_batch_may_have_a_bounded_number_of_explanations(gateway: Gateway) -> None:
    row = {"designation": "a", "explain": True}
    client = gateway.client()
    most = client.post("/predict/batch", json=[row] * EXPLANATION_PRODUCTS)
    more = client.post("/predict/batch", json=[row] * (EXPLANATION_PRODUCTS + 1))

    assert [True] * EXPLANATION_PRODUCTS == ["explanation" in one for one in most.json()]
    assert (422, True) == (more.status_code, str(EXPLANATION_PRODUCTS) in more.json()["detail"])


@pytest.mark.parametrize("model", ["text-predictor", "image-predictor", "fusion-transformer"])
def test_explain_is_forwarded_to_the_model(gateway: Gateway, model: str) -> None:
    reply = gateway.client().post(f"/v1/models/{model}:explain", json={"instances": [{"designation": "x"}]})

    assert (200, True) == (reply.status_code, "explanations" in reply.json())
    assert [f"/v1/models/{model}:explain"] == [one.path for one in gateway.models.seen]


def test_explain_needs_a_token(gateway: Gateway) -> None:
    assert 401 == gateway.client(None).post("/v1/models/text-predictor:explain", json={}).status_code


@pytest.mark.parametrize(
    ("product", "cost"),
    [
        (RequestProduct("x", explain=True), TEXT_COST),
        (RequestProduct(image=b"x", explain=True), PHOTO_COST),
        (RequestProduct("x", image=b"x", explain=True), TEXT_COST + PHOTO_COST),
        (RequestProduct("x", image=b"x"), 0),
    ],
)
def test_an_explanation_costs_what_it_computes(product: RequestProduct, cost: int) -> None:
    assert (cost, cost + TEXT_COST) == (
        explanation_cost([product]),
        explanation_cost([product, RequestProduct("y", explain=True)]),
    )


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (b'{"instances": ["a", "b"]}', 2),
        (b'{"instances": []}', 1),
        (b'{"instances": 3}', 1),
        (b"[]", 1),
        (b"{", 1),
        (b"\xff", 1),
        (b"[" * 100_000, 1),
        (orjson.dumps({"instances": ["a"] * 64}), EXPLANATION_PRODUCTS),
        (orjson.dumps({"instances": ["a" * 200_000] * 2}), 2),
    ],
)
def test_the_instances_of_a_request_are_counted_whatever_its_body(body: bytes, count: int) -> None:
    assert count == asyncio.run(count_instances(body))


def test_an_explanation_counts_at_most_the_whole_limit() -> None:
    now = 0.0
    limits = RateLimits(products="10/second", clock=lambda: now)
    limits.spend("ada")
    limits.spend_explanations("ada", PHOTO_COST)
    with pytest.raises(Problem, match="try again"):
        limits.spend("ada")
    limits.spend("bob", BATCH_PRODUCTS // 8)
    limits.spend_explanations("bob", 1, BATCH_PRODUCTS // 8)


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Gateway]:
    yield from start(tmp_path, rate_limit=f"{model_cost('fusion-transformer') + 2}/minute")


def test_explanations_use_the_rate_up(limited: Gateway) -> None:
    client = limited.client()
    statuses = [
        client.post("/predict", json={"designation": "x"}).status_code,
        client.post("/v1/models/fusion-transformer:explain", json={"instances": [{"designation": "x"}]}).status_code,
        client.post("/predict", json={"designation": "x", "explain": True}).status_code,
    ]

    assert [200, 200, 429] == statuses
