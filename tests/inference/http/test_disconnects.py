"""A client that disconnects cancels its handler and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from inference.compat.uvicorn import HttpProtocol
from inference.http.disconnects import cancel_on_disconnect
from inference.http.problems import ClientDisconnected


class SlowApp:
    """An application that runs until it is released or cancelled, and records which."""

    def __init__(self) -> None:
        self.started, self.finished, self.release = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.outcome = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with cancel_on_disconnect(scope):
                self.started.set()
                await self.release.wait()
            self.outcome = "responded"
        except ClientDisconnected:
            self.outcome = "cancelled"
        self.finished.set()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def serving(app: SlowApp) -> AsyncIterator[int]:
    config = uvicorn.Config(app, port=0, http=HttpProtocol, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


@pytest.mark.parametrize("stays", [True, False])
async def test_a_handler_is_cancelled_when_its_client_disconnects(stays: bool) -> None:
    app = SlowApp()
    async with serving(app) as port, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await app.started.wait()
        if stays:
            app.release.set()
            await reader.readuntil(b"\r\n\r\n")
        else:
            writer.close()
        await app.finished.wait()
        writer.close()

    assert ("responded" if stays else "cancelled") == app.outcome


async def test_another_cancellation_is_not_reported_as_a_disconnect() -> None:
    async def work() -> None:
        with cancel_on_disconnect({}):
            await asyncio.sleep(10)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
