"""HttpClient against servers that respond, fail and disconnect."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from inference.http import http_client
from inference.http.http_client import HttpClient, TransportError

GOOD = b"HTTP/1.1 200 OK\r\nX-Kind: good\r\nContent-Length: 2\r\n\r\nok"
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class ScriptedServer:
    """A server with one scripted response per request; it disconnects at None and after a final NUL."""

    def __init__(self, *script: bytes | None) -> None:
        self.script = list(script)
        self.connections = 0
        self.seen: list[bytes] = []
        self.disconnected = asyncio.Event()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                self.seen.append(head + await reader.readexactly(size))
                reply = self.script.pop(0) if self.script else GOOD
                if reply is None:
                    break
                writer.write(reply.rstrip(b"\0"))
                if reply.endswith(b"\0"):
                    break
        except asyncio.IncompleteReadError:
            self.disconnected.set()
        writer.close()


@asynccontextmanager
async def client_of(
    scripted: ScriptedServer, connections: int = 4, idle_s: float = 60, retry_s: float = 0
) -> AsyncIterator[HttpClient]:
    server = await asyncio.start_server(scripted.handle, "127.0.0.1", 0)
    client = HttpClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections, idle_s, retry_s)
    try:
        yield client
    finally:
        client.close()
        server.close()


async def send(client: HttpClient, body: bytes = b"") -> http_client.HttpResponse:
    return await client.request("POST", "/x", {"X-Request-Id": "id-1"}, body)


async def test_a_request_and_its_response_are_transferred_whole() -> None:
    scripted = ScriptedServer()
    async with client_of(scripted) as client:
        reply = await send(client, b"body")

    assert (200, "good", None, b"ok") == (reply.status, reply.header("X-Kind"), reply.header("Other"), reply.body)
    assert scripted.seen[0].startswith(b"POST /x HTTP/1.1\r\nHost: 127.0.0.1:")
    assert scripted.seen[0].endswith(b"Content-Length: 4\r\nX-Request-Id: id-1\r\n\r\nbody")


async def test_a_connection_is_reused() -> None:
    scripted = ScriptedServer()
    async with client_of(scripted) as client:
        for _ in range(3):
            await send(client)

    assert 1 == scripted.connections


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
    ],
    ids=["chunked", "closing"],
)
async def test_chunked_and_closing_responses_are_read(reply: bytes) -> None:
    async with client_of(ScriptedServer(reply)) as client:
        assert [b"ok", b"ok"] == [(await send(client)).body for _ in range(2)]


async def test_an_idle_connection_that_the_server_closed_is_replaced_once() -> None:
    scripted = ScriptedServer(GOOD, None, GOOD)
    async with client_of(scripted) as client:
        assert [200, 200] == [(await send(client)).status for _ in range(2)]

    assert 2 == scripted.connections


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ((None,), "closed"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok\0",), "within a response"),
        ((b"no HTTP\r\n\r\n",), "not one HTTP response"),
    ],
    ids=["disconnects", "disconnects within a response", "not HTTP"],
)
async def test_a_broken_connection_is_a_transport_error(script: tuple[bytes | None, ...], reason: str) -> None:
    async with client_of(ScriptedServer(*script)) as client:
        with pytest.raises(TransportError, match=reason):
            await send(client)

        assert 200 == (await send(client)).status


async def test_a_refused_connection_is_a_transport_error() -> None:
    with pytest.raises(TransportError, match="ConnectionRefusedError"):
        await send(HttpClient("http://127.0.0.1:1", 1, 60))


@pytest.mark.parametrize("disconnects", [1, 2, 3])
async def test_a_request_without_a_response_is_sent_again_on_new_connections(disconnects: int) -> None:
    scripted = ScriptedServer(GOOD, *[None] * (disconnects + 1), GOOD)
    async with client_of(scripted, retry_s=60) as client:
        assert [200, 200] == [(await send(client)).status for _ in range(2)]

    assert disconnects + 2 == scripted.connections


async def test_a_request_is_sent_again_when_the_server_listens_again() -> None:
    async with client_of(scripted := ScriptedServer(), idle_s=0, retry_s=60) as client:
        await send(client)
        port = int(scripted.seen[0].partition(b"127.0.0.1:")[2].partition(b"\r\n")[0])
    waiting = asyncio.create_task(send(client))
    await asyncio.sleep(3 * http_client.RETRY_PAUSE_S)
    async with await asyncio.start_server(scripted.handle, "127.0.0.1", port):
        assert 200 == (await waiting).status
    client.close()


async def test_a_broken_response_is_not_requested_again() -> None:
    scripted = ScriptedServer(GOOD, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok\0")
    async with client_of(scripted, retry_s=60) as client:
        await send(client)
        with pytest.raises(TransportError, match="within a response"):
            await send(client)

    assert 2 == len(scripted.seen)


async def test_a_server_that_never_responded_is_not_waited_for() -> None:
    scripted = ScriptedServer(None)
    async with client_of(scripted, retry_s=60) as client:
        with pytest.raises(TransportError, match="closed"):
            await send(client)

    assert 1 == scripted.connections


async def test_an_outage_is_waited_for_once() -> None:
    scripted = ScriptedServer(GOOD, *[None] * 1000)
    async with client_of(scripted, idle_s=0, retry_s=3 * http_client.RETRY_PAUSE_S) as client:
        await send(client)
        with pytest.raises(TransportError, match="closed"):
            await send(client)
        waited_for = scripted.connections
        with pytest.raises(TransportError, match="closed"):
            await send(client)

    assert waited_for > 2
    assert waited_for + 1 == scripted.connections


async def test_a_response_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "MAX_RESPONSE_BYTES", 3)
    async with client_of(ScriptedServer(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlong")) as client:
        with pytest.raises(TransportError, match="more than 3 bytes"):
            await send(client)


async def test_a_cancelled_request_does_not_leave_its_response_to_the_next_one() -> None:
    scripted = ScriptedServer(b"")
    async with client_of(scripted) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await send(client)
        await asyncio.wait_for(scripted.disconnected.wait(), 5)

        assert b"ok" == (await send(client)).body
    assert 2 == scripted.connections


async def test_connections_stay_within_the_limit() -> None:
    scripted = ScriptedServer()
    async with client_of(scripted, connections=2) as client:
        await asyncio.gather(*(send(client) for _ in range(10)))

    assert 2 >= scripted.connections


async def test_an_expired_idle_connection_is_not_reused() -> None:
    scripted = ScriptedServer()
    async with client_of(scripted, idle_s=0) as client:
        await send(client)
        await asyncio.sleep(0.01)
        await send(client)

    assert 2 == scripted.connections


@pytest.mark.parametrize("url", ["ftp://host", "http://", "host:80"])
def test_an_invalid_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is not an http"):
        HttpClient(url, 1, 1)
