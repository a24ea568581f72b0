"""The gateway while the object store is unavailable, and with more requests than it accepts at once."""

import asyncio
import time

import httpx
import pytest
from prometheus_client import generate_latest

from product_classifier.feedback.records import prediction_key
from tests.inference.auth_proxy.conftest import Gateway


def test_predictions_during_a_store_outage_are_pending_and_stored_afterwards(gateway: Gateway) -> None:
    gateway.store.away = True
    with gateway.client() as client:
        away = [client.post("/predict", json={"designation": f"x{n}"}) for n in range(3)]
        gateway.store.away = False
        deadline = time.monotonic() + 10
        keys = [prediction_key(r.json()["prediction_id"]) for r in away]
        while not set(keys) <= set(gateway.store.objects) and time.monotonic() < deadline:
            time.sleep(0.05)

    assert {(r.status_code, r.headers["prediction-record"]) for r in away} == {(200, "pending")}
    assert set(keys) <= set(gateway.store.objects)


@pytest.mark.parametrize("own_gateway", [{"max_in_flight": 2}], indirect=True)
async def test_requests_beyond_the_concurrency_limit_are_refused_immediately(own_gateway: Gateway) -> None:
    own_gateway.models.delay_s = 0.3
    async with httpx.AsyncClient(
        base_url=own_gateway.url, headers=own_gateway.headers(), trust_env=False, verify=False
    ) as client:
        replies = await asyncio.gather(*(client.post("/predict", json={"designation": "x"}) for _ in range(6)))
        own_gateway.models.delay_s = 0
        after = await client.post("/predict", json={"designation": "x"})

    statuses = sorted(r.status_code for r in replies)
    assert statuses == [200, 200, 503, 503, 503, 503]
    assert {r.headers.get("retry-after") for r in replies if r.status_code == 503} == {"1"}
    assert after.status_code == 200


@pytest.mark.parametrize("own_gateway", [{"max_in_flight": 1}], indirect=True)
async def test_a_client_that_disconnects_frees_its_slot(own_gateway: Gateway) -> None:
    own_gateway.models.delay_s = 30
    body = b'{"designation": "x"}'
    token = own_gateway.token().encode()
    _, writer = await asyncio.open_connection("127.0.0.1", own_gateway.port)
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer %b\r\n"
    writer.write(head % token + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    await asyncio.sleep(0.2)
    writer.close()
    own_gateway.models.delay_s = 0
    async with httpx.AsyncClient(
        base_url=own_gateway.url, headers=own_gateway.headers(), trust_env=False, verify=False
    ) as client:
        async with asyncio.timeout(20):
            while (after := await client.post("/predict", json={"designation": "x"})).status_code == 503:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        metrics = generate_latest(own_gateway.metrics.registry).decode()

    assert 200 == after.status_code
    assert 'http_request_duration_seconds_count{method="POST",route="/predict",status="499"} 1.0' in metrics
