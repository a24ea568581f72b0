"""Ambiguous, oversized and slow requests as raw bytes."""

import contextlib
import gc
import select
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import psutil
import pytest

from tests.inference.auth_proxy.conftest import Gateway

POST = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer {token}\r\n"
BODY = '{"designation":"x"}'
LARGE = BODY.encode() + b" " * 7_000_000
JSON = {"Content-Type": "application/json"}
SMUGGLED = "GET /users HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = f"{len(BODY):x}\r\n{BODY}\r\n0\r\n\r\n"


def framed(*headers: str, body: str = CHUNKED, start: str = POST) -> str:
    return start + "".join(f"{header}\r\n" for header in headers) + "\r\n" + body


SMUGGLING: dict[str, str] = {
    "length and chunked": framed("Content-Length: 5", "Transfer-Encoding: chunked"),
    "chunked and length": framed("Transfer-Encoding: chunked", "Content-Length: 5"),
    "length of all and chunked": framed(f"Content-Length: {len(CHUNKED)}", "Transfer-Encoding: chunked"),
    "zero length and chunked": framed("Content-Length: 0", "Transfer-Encoding: chunked", body="0\r\n\r\n" + SMUGGLED),
    "two lengths": framed("Content-Length: 19", "Content-Length: 5", body=BODY),
    "two equal lengths": framed("Content-Length: 19", "Content-Length: 19", body=BODY),
    "length list": framed("Content-Length: 19, 19", body=BODY),
    "length +": framed("Content-Length: +19", body=BODY),
    "length -": framed("Content-Length: -1", body=BODY),
    "length hex": framed("Content-Length: 0x13", body=BODY),
    "length float": framed("Content-Length: 19.0", body=BODY),
    "length exponent": framed("Content-Length: 1e1", body=BODY),
    "length underscore": framed("Content-Length: 1_9", body=BODY),
    "length empty": framed("Content-Length: ", body=BODY),
    "length letters": framed("Content-Length: abc", body=BODY),
    "length huge": framed("Content-Length: 99999999999999999999999", body=BODY),
    "length with NUL": framed("Content-Length: 19\x00", body=BODY),
    "length with tab inside": framed("Content-Length: 1\t9", body=BODY),
    "length blank before colon": framed("Content-Length : 19", body=BODY),
    "length tab before colon": framed("Content-Length\t: 19", body=BODY),
    "length folded": framed("Content-Length:\r\n 19", body=BODY),
    "length quoted": framed('Content-Length: "19"', body=BODY),
    "blank before name": framed(" Content-Length: 19", body=BODY),
    "two codings": framed("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    "two different codings": framed("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
    "identity then chunked": framed("Transfer-Encoding: identity", "Transfer-Encoding: chunked"),
    "coding list": framed("Transfer-Encoding: chunked, identity"),
    "coding list other way": framed("Transfer-Encoding: identity, chunked"),
    "chunked chunked": framed("Transfer-Encoding: chunked, chunked"),
    "gzip chunked": framed("Transfer-Encoding: gzip, chunked"),
    "xchunked": framed("Transfer-Encoding: xchunked"),
    "chunkedx": framed("Transfer-Encoding: chunkedx"),
    "chunk": framed("Transfer-Encoding: chunk"),
    "cow": framed("Transfer-Encoding: cow"),
    "identity": framed("Transfer-Encoding: identity"),
    "coding empty": framed("Transfer-Encoding: "),
    "coding quoted": framed('Transfer-Encoding: "chunked"'),
    "coding with parameter": framed("Transfer-Encoding: chunked;q=1"),
    "coding blank before colon": framed("Transfer-Encoding : chunked"),
    "coding tab before colon": framed("Transfer-Encoding\t: chunked"),
    "coding blank before name": framed(" Transfer-Encoding: chunked"),
    "coding folded": framed("Transfer-Encoding:\r\n chunked"),
    "coding vertical tab": framed("Transfer-Encoding: \x0bchunked"),
    "coding NUL": framed("Transfer-Encoding: chunked\x00"),
    "coding CR": framed("Transfer-Encoding: chunked\rX: y"),
    "coding underscore and length 0": framed("Transfer_Encoding: chunked", "Content-Length: 0", body="")[:-2]
    + "X\x00: y\r\n\r\n",
    "coding hidden by CR": framed("X: y\rTransfer-Encoding: chunked"),
    "coding hidden by LF LF": framed("X: y\n\nTransfer-Encoding: chunked"),
    "chunk size negative": framed("Transfer-Encoding: chunked", body="-1\r\nx\r\n0\r\n\r\n"),
    "chunk size plus": framed("Transfer-Encoding: chunked", body=f"+{CHUNKED}"),
    "chunk size 0x": framed("Transfer-Encoding: chunked", body=f"0x{CHUNKED}"),
    "chunk size huge": framed("Transfer-Encoding: chunked", body="fffffffffffffffff\r\nx\r\n0\r\n\r\n"),
    "chunk size blank": framed("Transfer-Encoding: chunked", body=f" {CHUNKED}"),
    "chunk size letters": framed("Transfer-Encoding: chunked", body="xyz\r\nx\r\n0\r\n\r\n"),
    "chunk size empty": framed("Transfer-Encoding: chunked", body="\r\nx\r\n0\r\n\r\n"),
    "chunk size underscore": framed("Transfer-Encoding: chunked", body=f"1_3\r\n{BODY}\r\n0\r\n\r\n"),
    "chunk without end": framed("Transfer-Encoding: chunked", body=f"13\r\n{BODY}X0\r\n\r\n"),
    "chunk ends with LF": framed("Transfer-Encoding: chunked", body=f"13\r\n{BODY}\n0\r\n\r\n"),
    "chunk line ends with LF": framed("Transfer-Encoding: chunked", body=f"13\n{BODY}\r\n0\r\n\r\n"),
    "chunk extension with NUL": framed("Transfer-Encoding: chunked", body=f"13;\x00\r\n{BODY}\r\n0\r\n\r\n"),
    "chunk extension with LF": framed("Transfer-Encoding: chunked", body=f"13;a\nb\r\n{BODY}\r\n0\r\n\r\n"),
    "trailer": framed("Transfer-Encoding: chunked", body=f"13\r\n{BODY}\r\n0\r\nX-Auth-User: ada\r\n\r\n"),
    "trailer with length": framed("Transfer-Encoding: chunked", body=f"13\r\n{BODY}\r\n0\r\nContent-Length: 5\r\n\r\n"),
    "trailer with token": framed(
        "Transfer-Encoding: chunked",
        body="0\r\nAuthorization: Bearer {token}\r\n\r\n",
        start="POST /predict HTTP/1.1\r\nHost: x\r\n",
    ),
    "two hosts": framed("Host: y", f"Content-Length: {len(BODY)}", body=BODY),
    "two tokens": framed("Authorization: Bearer x", f"Content-Length: {len(BODY)}", body=BODY),
    "no host": "GET /healthz HTTP/1.1\r\n\r\n",
    "bare LF": f"POST /predict HTTP/1.1\nHost: x\nContent-Length: {len(BODY)}\n\n{BODY}",
    "bare CR": "GET /healthz HTTP/1.1\rHost: x\r\r",
    "HTTP/1.2": "GET /healthz HTTP/1.2\r\nHost: x\r\n\r\n",
    "HTTP/2.0": "GET /healthz HTTP/2.0\r\nHost: x\r\n\r\n",
    "HTTP/0.9": "GET /healthz\r\n\r\n",
    "http/1.1": "GET /healthz http/1.1\r\nHost: x\r\n\r\n",
    "HTTP/1.1 twice": "GET /healthz HTTP/1.1 HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/1.0 in chunks": framed("Transfer-Encoding: chunked").replace("HTTP/1.1", "HTTP/1.0"),
    "tab for blank": "GET\t/healthz\tHTTP/1.1\r\nHost: x\r\n\r\n",
    "h2 preface": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "unknown method": "SMUGGLE /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "lower method": "get /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECT": "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n",
    "name with blank": framed("X Y: z", "Content-Length: 19", body=BODY),
    "name with NUL": framed("X\x00Y: z", "Content-Length: 19", body=BODY),
    "name missing": framed(": z", "Content-Length: 19", body=BODY),
    "line without colon": framed("Garbage", "Content-Length: 19", body=BODY),
    "value with NUL": framed("X: a\x00b", "Content-Length: 19", body=BODY),
    "TLS hello": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "non-ASCII target": "GET /h\xe9althz HTTP/1.1\r\nHost: x\r\n\r\n",
    "NUL in target": "GET /healthz\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("name", SMUGGLING)
def test_an_ambiguous_request_is_rejected_and_the_connection_closed(gateway: Gateway, name: str) -> None:
    request = SMUGGLING[name].replace("{token}", gateway.token())

    answer, closed = exchange(gateway.port, (request + SMUGGLED).encode("latin-1"))

    assert closed
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.split(b" ", 2)[1] in {b"400", b"401"}
    assert gateway.models.seen == []


def test_the_corpus_is_large_enough_and_a_good_request_passes(gateway: Gateway) -> None:
    good = framed("Transfer-Encoding: chunked", "Connection: close").replace("{token}", gateway.token())
    extension = good.replace("13\r\n", "13;name=value\r\n")

    answers = [exchange(gateway.port, data.encode())[0] for data in (good, extension)]

    assert len(SMUGGLING) >= 80
    assert [a[:15] for a in answers] == [b"HTTP/1.1 200 OK", b"HTTP/1.1 200 OK"]


def test_pipelined_requests_are_served_in_order(gateway: Gateway) -> None:
    first = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    last = "GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    answer, _ = exchange(gateway.port, (first * 3 + last).encode())

    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"200", b"404"]


@pytest.mark.parametrize(
    ("head", "statuses"),
    [
        ("GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + "a" * 20_000 + "\r\n\r\n", {b"431"}),
        ("GET /healthz HTTP/1.1\r\nHost: x\r\n" + "X: y\r\n" * 200 + "\r\n", {b"431"}),
        ("GET /healthz HTTP/1.1\r\nHost: x\r\n" + "a:\r\n" * 60_000, {b"431"}),
        ("GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + "a" * 5_000_000, {b"431"}),
        ("GET /" + "a" * 5_000_000, {b"431"}),
        ("GET /" + "a" * 1000 + " HTTP/1.1\r\nHost: x\r\n\r\n", {b"414"}),
        ("GET /" + "a" * 1000 + "%20 HTTP/1.1\r\nHost: x\r\n\r\n", {b"414"}),
        ("GET /healthz?" + "a" * 3000 + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", {b"400"}),
        ("A" * 100_000, {b"400"}),
    ],
    ids=[
        "one long header",
        "many headers",
        "most headers of one read",
        "endless header",
        "endless path",
        "long path",
        "long path with a character that no route has",
        "long query",
        "endless method",
    ],
)
def test_headers_over_their_limits_are_rejected(gateway: Gateway, head: str, statuses: set[bytes]) -> None:
    answer, closed = exchange(gateway.port, head.encode())

    assert closed
    assert (answer.split(b" ", 2)[1] if answer else b"") in statuses


@pytest.mark.parametrize(
    "start",
    ["", "GET /heal", "GET /healthz HTTP/1.1\r\n", "GET /healthz HTTP/1.1\r\nHost: x\r\nX: "],
    ids=["nothing", "half a path", "no headers", "half a header"],
)
def test_slow_headers_close_the_connection(gateway: Gateway, start: str) -> None:
    with dripping(gateway.port, start) as connection:
        answer = read_all(connection)

    assert answer.split(b" ", 2)[1] == b"408"


def test_slow_headers_of_a_second_request_close_the_connection(gateway: Gateway) -> None:
    with dripping(gateway.port, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /heal") as connection:
        answer = read_all(connection)

    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"200", b"408"]


def test_a_slow_body_is_a_408(gateway: Gateway) -> None:
    start = POST.replace("{token}", gateway.token()) + "Content-Length: 1000\r\n\r\n"
    with dripping(gateway.port, start) as connection:
        answer = read_all(connection)

    assert answer.split(b" ", 2)[1] == b"408"
    assert gateway.models.seen == []


@pytest.mark.parametrize("own_gateway", [{"body_memory_mb": 36, "body_timeout_s": 60.0}], indirect=True)
def test_uploads_held_open_have_bounded_memory_and_leave_room_for_others(own_gateway: Gateway) -> None:
    held = POST.replace("{token}", own_gateway.token()) + "Content-Length: 6000000\r\n\r\n"
    with contextlib.ExitStack() as stack:
        uploads = []
        for _ in range(12):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", own_gateway.port), timeout=20))
            with contextlib.suppress(ConnectionError):
                connection.sendall(held.encode() + b" " * 5_000_000)
            uploads.append(connection)
        time.sleep(0.2)
        with own_gateway.client("remy") as other:
            status = other.post("/predict", content=LARGE, headers=JSON).status_code
        with own_gateway.client() as same:
            refused = same.post("/predict", content=LARGE, headers=JSON)
        deadline = time.monotonic() + 20
        while len(answered := select.select(uploads, [], [], 0)[0]) < 10 and time.monotonic() < deadline:
            time.sleep(0.05)
        answers = [connection.recv(1000).split(b" ", 2)[1] for connection in answered]

    assert 200 == status
    assert (429, "1") == (refused.status_code, refused.headers["retry-after"])
    assert {b"429"} == set(answers)
    assert 10 <= len(answers) <= 11


@pytest.mark.parametrize(("path", "unit"), [("/predict/batch", b"[],"), ("/predict", b'"a":1,'), ("/predict", b" ")])
def test_refused_bodies_are_freed_without_the_garbage_collector(gateway: Gateway, path: str, unit: bytes) -> None:
    body, process = unit * (10_000_000 // len(unit)), psutil.Process()
    with gateway.client() as client:
        client.post(path, content=body, headers=JSON)
        gc.disable()
        try:
            before = process.memory_info().rss
            for _ in range(20):
                client.post(path, content=body, headers=JSON)
            grown = process.memory_info().rss - before
        finally:
            gc.enable()

    assert 60_000_000 > grown


def test_idle_connections_do_not_delay_other_requests(gateway: Gateway) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port)))

        assert httpx.get(f"{gateway.url}/healthz", trust_env=False, verify=False).status_code == 200


def test_a_client_that_disconnects_does_not_stop_the_gateway(gateway: Gateway) -> None:
    start = POST.replace("{token}", gateway.token()) + "Content-Length: 1000\r\n\r\n{"
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
            connection.sendall(start.encode())

    assert gateway.client().get("/healthz").status_code == 200


def test_a_request_id_of_a_client_is_used_only_if_it_is_plain_text(gateway: Gateway) -> None:
    with gateway.client() as client:
        plain = client.get("/healthz", headers={"X-Request-Id": "abc-123"}).headers["x-request-id"]
        forged = client.get("/healthz", headers={"X-Request-Id": "a b\tlevel=error"}).headers["x-request-id"]

    assert plain == "abc-123"
    assert len(forged) == 32


def exchange(port: int, data: bytes) -> tuple[bytes, bool]:
    """Send bytes, and return what came back and whether the server hung up."""
    with socket.create_connection(("127.0.0.1", port), timeout=4) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(data)
        try:
            return read_all(connection), True
        except TimeoutError:
            return b"", False


def read_all(connection: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            received += piece
    return received


@contextlib.contextmanager
def dripping(port: int, start: str) -> Iterator[socket.socket]:
    """A connection on which, after a start, only a letter comes now and then."""
    with socket.create_connection(("127.0.0.1", port), timeout=8) as connection:
        connection.sendall(start.encode())
        stop = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                while start and not stop.wait(0.3):
                    connection.sendall(b"a")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            yield connection
        finally:
            stop.set()
            thread.join()
