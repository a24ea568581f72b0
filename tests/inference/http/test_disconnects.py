"""A caller who hangs up ends the work done for them, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from inference.http.disconnects import DisconnectProtocol, cancel_on_disconnect
from inference.http.problems import ClientDisconnected


class Slow:
    """Works until told to stop, and remembers how it ended."""

    def __init__(self) -> None:
        self.begun, self.over, self.release = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.ended = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with cancel_on_disconnect(scope):
                self.begun.set()
                await self.release.wait()
            self.ended = "answered"
        except ClientDisconnected:
            self.ended = "gone"
        self.over.set()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def serving(app: Slow) -> AsyncIterator[int]:
    config = uvicorn.Config(app, port=0, http=DisconnectProtocol, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


@pytest.mark.parametrize("stays", [True, False])
async def test_work_ends_when_its_caller_hangs_up(stays: bool) -> None:
    app = Slow()
    async with serving(app) as port, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await app.begun.wait()
        if stays:
            app.release.set()
            await reader.readuntil(b"\r\n\r\n")
        else:
            writer.close()
        await app.over.wait()
        writer.close()

    assert ("answered" if stays else "gone") == app.ended


async def test_cancelling_for_another_reason_stays_a_cancellation() -> None:
    async def work() -> None:
        with cancel_on_disconnect({}):
            await asyncio.sleep(10)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
