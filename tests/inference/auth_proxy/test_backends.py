"""Forwarded requests without a response: sent again where that is safe, a correction never."""

import asyncio

import pytest

from inference.auth_proxy.predictions import backends
from inference.auth_proxy.predictions.backends import FEEDBACK, Backends
from product_classifier.errors import ModelUnavailable
from product_classifier.model_names import TEXT
from tests.support.servers import free_port

GOOD = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok"
ATTEMPTS = 1 + len(backends.RETRY_PAUSES_S)


class ClosingServer:
    """Reads each request and closes the connection without a response, the first `closes` times."""

    def __init__(self, closes: int = 0) -> None:
        self.closes = closes
        self.requests = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.requests += 1
        if self.requests > self.closes:
            writer.write(GOOD)
        writer.close()


async def forward(port: int, service: str, method: str, target: str) -> int:
    client = Backends({service: f"http://127.0.0.1:{port}"}, timeout_s=20)
    try:
        async with client.forward(service, method, target, {}, b"") as response:
            return response.status
    finally:
        await client.close()


@pytest.mark.parametrize("closes", range(ATTEMPTS + 1))
@pytest.mark.parametrize(
    ("service", "method", "target", "is_repeated"),
    [
        (TEXT, "POST", "/v2/models/text-predictor/infer", True),
        (TEXT, "POST", "/v1/models/text-predictor:predict", True),
        (FEEDBACK, "POST", "/feedback", False),
        (FEEDBACK, "POST", "/feedback/f-1/approve", False),
        (FEEDBACK, "POST", "/retrain", False),
    ],
)
async def test_a_request_that_was_sent_is_repeated_only_if_it_changes_nothing(
    service: str, method: str, target: str, is_repeated: bool, closes: int
) -> None:
    """Without GET, which aiohttp repeats by itself."""
    sent = ClosingServer(closes)
    async with await asyncio.start_server(sent.handle, "127.0.0.1", 0) as server:
        answered = forward(server.sockets[0].getsockname()[1], service, method, target)
        if closes < (ATTEMPTS if is_repeated else 1):
            assert 201 == await answered
        else:
            with pytest.raises(ModelUnavailable, match="is not reachable"):
                await answered

    assert min(closes + 1, ATTEMPTS if is_repeated else 1) == sent.requests


@pytest.mark.parametrize("target", ["/feedback", "/retrain"])
async def test_any_request_is_sent_once_its_service_accepts_connections(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backends, "RETRY_PAUSES_S", (0.02,) * 500)
    port, sent = free_port(), ClosingServer()
    answered = asyncio.create_task(forward(port, FEEDBACK, "POST", target))
    await asyncio.sleep(0.1)
    async with await asyncio.start_server(sent.handle, "127.0.0.1", port):
        assert 201 == await answered

    assert 1 == sent.requests
