"""The trace context (W3C) in problems, log lines and requests between services."""

import asyncio
import io
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from inference.fusion_transformer.http_predictor import HttpPredictorClient
from product_classifier.errors import ModelUnavailable
from product_classifier.observability import configure_logging, get_logger, set_traceparent, trace_id
from tests.support.fake_models import served
from tests.support.fakes import FakeStore
from tests.support.feedback_service_harness import TOKEN, FeedbackHarness
from tests.support.model_servers import RunningServer

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACE = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    before, to = structlog.get_config(), io.StringIO()
    configure_logging("a-service", json=True, to=to)
    yield to
    structlog.configure(**before)
    set_traceparent(None)


def test_log_lines_have_the_trace_of_their_request_and_none_without_one(lines: io.StringIO) -> None:
    for given in (TRACE, None, "malformed"):
        set_traceparent(given)
        get_logger().warning("store_unavailable")

    first, second, third = (json.loads(line) for line in lines.getvalue().splitlines())
    assert (TRACE_ID, False) == (first["trace_id"], "trace_id" in second)
    assert third["trace_id"] == trace_id() != TRACE_ID


def test_problems_of_the_feedback_service_have_the_trace(tmp_path: Path) -> None:
    service = FeedbackHarness(FakeStore(), tmp_path / "journal")
    headers = {"X-Internal-Token": TOKEN, "X-Auth-User": "ada", "X-Auth-Role": "admin", "traceparent": TRACE}

    with service.client as client:
        problems = [client.post("/feedback", headers=headers, json=body).json() for body in ({}, {"code": 1})]
        problems.append(client.get("/nowhere", headers=headers).json())
        without = client.get("/nowhere", headers={**headers, "traceparent": ""}).json()

    assert [TRACE_ID] * 3 == [problem["trace_id"] for problem in problems]
    assert "trace_id" not in without


@pytest.mark.parametrize("model", ["text-predictor", "image-predictor", "fusion-transformer"])
def test_errors_of_the_model_servers_have_the_trace(servers: dict[str, RunningServer], model: str) -> None:
    with httpx.Client(base_url=servers[model].url, headers={"traceparent": TRACE}) as client:
        error = client.post(f"/v2/models/{model}/infer", json={"inputs": []})

    assert (400, TRACE_ID) == (error.status_code, error.json()["trace_id"])


def test_the_fusion_passes_the_trace_to_a_predictor() -> None:
    seen: list[str | None] = []

    async def infer(request: Request) -> Response:
        seen.append(request.headers.get("traceparent"))
        return Response(status_code=503)

    async def predict(url: str) -> None:
        for given in (TRACE, None):
            set_traceparent(given)
            client = HttpPredictorClient(url, "text-predictor", 5.0, 1)
            with pytest.raises(ModelUnavailable):
                await client.predict({"designation": [b"Piscine"]}, 27, "")

    with served(Starlette(routes=[Route("/{rest:path}", infer, methods=["GET", "POST"])])) as url:
        asyncio.run(predict(url))

    assert [TRACE, None] == seen
