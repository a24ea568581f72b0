"""The client our services ask each other with: what it makes of good, bad and vanishing servers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from inference.http import http_client
from inference.http.http_client import HttpClient, TransportError

GOOD = b"HTTP/1.1 200 OK\r\nX-Kind: good\r\nContent-Length: 2\r\n\r\nok"
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Served:
    """A server that answers as a script says, one entry per request; None hangs up, as a NUL at the end does."""

    def __init__(self, *script: bytes | None) -> None:
        self.script = list(script)
        self.connections = 0
        self.seen: list[bytes] = []
        self.hung_up = asyncio.Event()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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
            self.hung_up.set()
        writer.close()


@asynccontextmanager
async def client_of(served: Served, connections: int = 4, keep_s: float = 60) -> AsyncIterator[HttpClient]:
    server = await asyncio.start_server(served.answer, "127.0.0.1", 0)
    client = HttpClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections, keep_s)
    try:
        yield client
    finally:
        client.close()
        server.close()


async def ask(client: HttpClient, body: bytes = b"") -> http_client.Reply:
    return await client.request("POST", "/x", {"X-Request-Id": "id-1"}, body)


async def test_a_question_arrives_whole_and_so_does_its_answer() -> None:
    served = Served()
    async with client_of(served) as client:
        reply = await ask(client, b"body")

    assert (200, "good", None, b"ok") == (reply.status, reply.header("X-Kind"), reply.header("Other"), reply.body)
    assert served.seen[0].startswith(b"POST /x HTTP/1.1\r\nHost: 127.0.0.1:")
    assert served.seen[0].endswith(b"Content-Length: 4\r\nX-Request-Id: id-1\r\n\r\nbody")


async def test_a_connection_is_kept_for_the_next_question() -> None:
    served = Served()
    async with client_of(served) as client:
        for _ in range(3):
            await ask(client)

    assert 1 == served.connections


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
    ],
    ids=["chunked", "closing"],
)
async def test_other_forms_of_an_answer_are_read(reply: bytes) -> None:
    async with client_of(Served(reply)) as client:
        assert [b"ok", b"ok"] == [(await ask(client)).body for _ in range(2)]


async def test_a_kept_connection_the_server_closed_is_replaced_once() -> None:
    served = Served(GOOD, None, GOOD)
    async with client_of(served) as client:
        assert [200, 200] == [(await ask(client)).status for _ in range(2)]

    assert 2 == served.connections


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ((None,), "closed"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok\0",), "in the middle of an answer"),
        ((b"no HTTP\r\n\r\n",), "not one HTTP answer"),
    ],
    ids=["hangs up", "hangs up in the middle", "speaks nonsense"],
)
async def test_a_server_that_does_not_answer_is_unreachable(script: tuple[bytes | None, ...], reason: str) -> None:
    async with client_of(Served(*script)) as client:
        with pytest.raises(TransportError, match=reason):
            await ask(client)

        assert 200 == (await ask(client)).status


async def test_nobody_listening_is_unreachable() -> None:
    with pytest.raises(TransportError, match="ConnectionRefusedError"):
        await ask(HttpClient("http://127.0.0.1:1", 1, 60))


async def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "MAX_ANSWER", 3)
    async with client_of(Served(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlong")) as client:
        with pytest.raises(TransportError, match="more than 3 bytes"):
            await ask(client)


async def test_a_caller_who_gives_up_leaves_no_answer_to_the_next_one() -> None:
    served = Served(b"")
    async with client_of(served) as client:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await ask(client)
        await asyncio.wait_for(served.hung_up.wait(), 5)

        assert b"ok" == (await ask(client)).body
    assert 2 == served.connections


async def test_no_more_connections_are_opened_than_allowed() -> None:
    served = Served()
    async with client_of(served, connections=2) as client:
        await asyncio.gather(*(ask(client) for _ in range(10)))

    assert 2 >= served.connections


async def test_a_connection_unused_for_long_is_not_trusted() -> None:
    served = Served()
    async with client_of(served, keep_s=0) as client:
        await ask(client)
        await asyncio.sleep(0.01)
        await ask(client)

    assert 2 == served.connections


@pytest.mark.parametrize("url", ["ftp://host", "http://", "host:80"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is not an http"):
        HttpClient(url, 1, 1)
