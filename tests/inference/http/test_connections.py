"""Requests refused early, pipelined requests and many connections, as raw bytes."""

import contextlib
import http.client
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import uvicorn

from inference.compat.connection_limits import ConnectionLimits
from inference.compat.uvicorn import MAX_PIPELINED, HttpProtocol
from inference.http.bodies import read_body
from inference.http.problems import problem_of, send_problem
from product_classifier.errors import ProductClassifierError
from tests.support.fake_models import running

BODY = 20_000_000
LIMIT = 1_000_000
DISCARD_S = 1.0


class App:
    """Refuses a path that is a status before the body is read; others respond with its size."""

    def __init__(self) -> None:
        self.served = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.served += 1
        status, body = 200, b"ok"
        if scope["path"][1:].isdecimal():
            status, body = int(scope["path"][1:]), b"refused"
        elif scope["method"] == "POST":
            try:
                body = b"%d" % len(await read_body(scope, receive, LIMIT))
            except ProductClassifierError as error:
                await send_problem(send, problem_of(error), "")
                return
        headers = [(b"content-length", b"%d" % len(body))]
        if scope["query_string"] == b"close":
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@contextlib.contextmanager
def serving(
    app: Any, limits: ConnectionLimits | None = None, loop: str = "uvloop", **attributes: float
) -> Iterator[int]:
    protocol = type("Protocol", (HttpProtocol,), {"limits": limits, "discard_s": DISCARD_S, **attributes})
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, http=protocol, ws="none", lifespan="off", log_config=None, loop=loop
    )
    with running(uvicorn.Server(config)) as port:
        yield port


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    with serving(App(), loop=request.param) as port:
        yield port


def by_socket(port: int, path: str, size: int) -> tuple[int, bytes]:
    """Send the whole request before anything is read."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode() + bytes(size))
        response = http.client.HTTPResponse(connection)
        response.begin()
        return response.status, response.read()


def by_http_client(port: int, path: str, size: int) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", path, bytes(size))
    response = connection.getresponse()
    return response.status, response.read()


def by_http_client_in_chunks(port: int, path: str, size: int) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", path, (bytes(100_000) for _ in range(size // 100_000)), encode_chunked=True)
    response = connection.getresponse()
    return response.status, response.read()


def by_httpx(port: int, path: str, size: int) -> tuple[int, bytes]:
    reply = httpx.post(f"http://127.0.0.1:{port}{path}", content=bytes(size), trust_env=False, timeout=20)
    return reply.status_code, reply.content


def by_curl(port: int, path: str, size: int, *options: str) -> tuple[int, bytes]:
    """Send with curl, which sends `Expect: 100-continue` and waits before a large body."""
    command = ["curl", "-s", "-m", "20", "-w", "%{http_code}", "--data-binary", "@-", *options]
    run = subprocess.run(
        [*command, f"http://127.0.0.1:{port}{path}"], input=bytes(size), capture_output=True, check=True
    )
    return int(run.stdout[-3:]), run.stdout[:-3]


def by_curl_in_chunks(port: int, path: str, size: int) -> tuple[int, bytes]:
    return by_curl(port, path, size, "-H", "Transfer-Encoding: chunked", "-H", "Expect:")


Client = Callable[[int, str, int], tuple[int, bytes]]
CLIENTS = [by_socket, by_http_client, by_http_client_in_chunks, by_httpx]
if shutil.which("curl"):
    CLIENTS += [by_curl, by_curl_in_chunks]


@pytest.mark.parametrize("query", ["", "?close"])
@pytest.mark.parametrize("send", CLIENTS)
def test_a_refusal_before_the_body_is_read_arrives(port: int, send: Client, query: str) -> None:
    assert (401, b"refused") == send(port, f"/401{query}", BODY)


@pytest.mark.parametrize("send", CLIENTS)
def test_a_body_over_the_limit_is_a_413(port: int, send: Client) -> None:
    status, body = send(port, "/", 2 * LIMIT)

    assert (413, True) == (status, b"more than 1000000 bytes" in body)


@pytest.mark.parametrize("send", CLIENTS)
def test_a_body_within_the_limit_is_read(port: int, send: Client) -> None:
    assert (200, b"900000") == send(port, "/", 900_000)


def test_a_connection_is_used_again_after_the_body_was_discarded(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for _ in range(3):
        connection.request("POST", "/401", bytes(3_000_000))
        first = connection.sock
        assert (401, b"refused") == ((reply := connection.getresponse()).status, reply.read())
        assert connection.sock is first is not None


def test_a_refused_request_with_expect_is_answered_without_its_body_and_closed(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"POST /401 HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\nExpect: 100-continue\r\n\r\n")
        answer = read_all(connection)

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"\r\nconnection: close\r\n" in answer
    assert b"100 Continue" not in answer


def test_an_accepted_request_with_expect_is_continued(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert b"HTTP/1.1 100 Continue\r\n\r\n" == connection.recv(100)
        connection.sendall(b"abc" + b"GET /?close HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = read_all(connection)

    assert 2 == answer.count(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("path", ["/401", "/401?close"])
def test_a_client_that_never_ends_its_body_is_disconnected(port: int, path: str) -> None:
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=0.1) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - began < 6 * DISCARD_S:
                connection.sendall(b"a")
                time.sleep(0.05)

    assert 0.8 * DISCARD_S < time.monotonic() - began < 5 * DISCARD_S


def test_a_client_that_sends_without_end_is_disconnected_within_the_bytes(port: int) -> None:
    sent = 0
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"POST /401 HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while sent < 200_000_000:
                sent += connection.send(bytes(1_000_000))

    assert 60_000_000 < sent < 100_000_000


def test_a_request_that_the_parser_refuses_is_a_400_whatever_follows(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/9.9\r\n\r\n" + bytes(3_000_000))

        assert read_all(connection).startswith(b"HTTP/1.1 400 ")


def test_pipelined_requests_are_answered_in_order(port: int) -> None:
    count = MAX_PIPELINED
    requests = b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % (400 + number) for number in range(count))
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(requests + b"GET /?close HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = read_all(connection)

    statuses = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert [*range(400, 400 + count), 200] == statuses


def test_more_pipelined_requests_than_may_wait_close_the_connection_after_those() -> None:
    app = App()
    with serving(app) as port, socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        began = time.process_time()
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 9000)  # 250 kB, one read of the server
        answer = read_all(connection)
        seconds = time.process_time() - began

    assert MAX_PIPELINED + 1 == answer.count(b"HTTP/1.1 200 OK") == app.served
    assert 1 == answer.count(b"connection: close")
    assert 0.5 > seconds


def test_requests_sent_one_after_the_other_are_not_counted_as_pipelined(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for _ in range(5 * MAX_PIPELINED):
        connection.request("GET", "/")
        assert b"ok" == connection.getresponse().read()


def test_a_pipelined_body_is_read_when_its_turn_comes(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + (head + bytes(900_000)) * 3)
        connection.sendall(b"GET /?close HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = read_all(connection)

    assert (5, 3) == (answer.count(b"HTTP/1.1 200 OK"), answer.count(b"\r\n\r\n900000"))


def test_idle_connections_over_the_limit_are_closed_for_new_ones() -> None:
    limits = ConnectionLimits(20)
    with serving(App(), limits) as port, contextlib.ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(100)]

        statuses = [by_socket(port, "/", 9)[0] for _ in range(30)]
        closed = sum(is_closed(connection) for connection in idle)

    assert {200} == set(statuses)
    assert 80 <= closed <= 100


def test_a_kept_connection_in_use_survives_idle_ones() -> None:
    with serving(App(), ConnectionLimits(20)) as port, contextlib.ExitStack() as stack:
        good = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        for _ in range(60):
            good.request("GET", "/")
            used = good.sock
            assert b"ok" == good.getresponse().read()
            assert good.sock is used is not None
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))


def test_busy_connections_over_the_limit_are_refused_with_a_reason() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
    with serving(App(), ConnectionLimits(5)) as port, contextlib.ExitStack() as stack:
        busy = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20)) for _ in range(5)]
        for connection in busy:
            connection.sendall(head)
        time.sleep(0.2)

        status, body = by_socket(port, "/", 900_000)
        for connection in busy:
            connection.sendall(bytes(9))
        finished = [connection.recv(1000)[:12] for connection in busy]

    assert (503, True) == (status, b"more than 5 connections are busy; try again in a second" in body)
    assert [b"HTTP/1.1 200"] * 5 == finished


@pytest.mark.parametrize("query", ["", "?close"])
def test_a_client_that_does_not_read_its_response_is_disconnected(query: str) -> None:
    async def large(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"50000000"), *([(b"connection", b"close")] if scope["query_string"] else [])]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": bytes(50_000_000)})

    received = 0
    with (
        serving(large, ConnectionLimits(100), write_timeout_s=1.0) as port,
        socket.create_connection(("127.0.0.1", port), timeout=20) as connection,
    ):
        connection.sendall(f"GET /{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        time.sleep(2)
        with contextlib.suppress(ConnectionError):
            while piece := connection.recv(1 << 20):
                received += len(piece)

    assert received < 50_000_000


def test_clients_that_do_not_read_do_not_take_all_connections() -> None:
    async def large(scope: Any, receive: Any, send: Any) -> None:
        size = 50_000_000 if scope["path"] == "/large" else 2
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
        await send({"type": "http.response.body", "body": bytes(size)})

    with serving(large, ConnectionLimits(3)) as port, contextlib.ExitStack() as stack:
        for _ in range(3):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            slow.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.5)

        assert 200 == httpx.get(f"http://127.0.0.1:{port}/", trust_env=False, timeout=20).status_code


class Peer:
    """A connection as the limits see it."""

    def __init__(self, address: str, idle_since: float | None) -> None:
        self.address, self.idle_since, self.evicted = address, idle_since, False

    def evict(self) -> None:
        self.evicted = True


@pytest.mark.parametrize(
    ("address", "trusted", "refused"),
    [("10.0.0.1", (), True), ("10.0.0.2", (), False), ("10.0.0.1", ("10.0.0.0/8",), False), ("", (), False)],
    ids=["same address", "other address", "trusted proxy", "no address"],
)
def test_an_address_has_its_own_limit(address: str, trusted: tuple[str, ...], refused: bool) -> None:
    limits = ConnectionLimits(100, per_address=10, trusted=trusted)
    busy = [Peer("10.0.0.1", None) for _ in range(10)]
    admitted = [limits.admit(peer) for peer in busy]  # type: ignore[arg-type]

    reason = limits.admit(Peer(address, None))  # type: ignore[arg-type]

    assert [None] * 10 == admitted
    assert refused == (reason is not None)


def test_the_longest_idle_connection_of_the_address_with_most_is_closed() -> None:
    limits = ConnectionLimits(10)
    few, many = [Peer("a", 0.0), Peer("a", 1.0)], [Peer("b", 9.0 - number) for number in range(8)]
    for peer in [*few, *many]:
        assert limits.admit(peer) is None  # type: ignore[arg-type]

    assert limits.admit(Peer("c", None)) is None  # type: ignore[arg-type]

    assert [many[-1]] == [peer for peer in [*few, *many] if peer.evicted]


def test_a_released_connection_is_not_counted() -> None:
    limits = ConnectionLimits(1)
    for _ in range(3):
        peer = Peer("a", None)
        assert limits.admit(peer) is None  # type: ignore[arg-type]
        limits.release(peer)  # type: ignore[arg-type]
        limits.release(peer)  # type: ignore[arg-type]


def read_all(connection: socket.socket) -> bytes:
    """Return what arrives until the server closes; raise ConnectionResetError if it resets the connection."""
    received = b""
    while piece := connection.recv(65_536):
        received += piece
    return received


def is_closed(connection: socket.socket) -> bool:
    connection.settimeout(0.01)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True
