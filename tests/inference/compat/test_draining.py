"""While a server stops, each request of a kept connection gets a response or is refused."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from tests.support.servers import free_port

STOPS = int(os.environ.get("DRAINING_STOPS", "3"))
CLIENTS = 20
PAUSE_S = 0.1
"""Of each client, which makes 200 requests a second together."""

SERVER = """
import asyncio, sys
import uvicorn
from inference.compat.draining import DrainingServer
from inference.compat.uvicorn import HttpProtocol
from inference.http.sockets import bind_socket

async def app(scope, receive, send):
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    await asyncio.sleep(float(scope["query_string"] or 0))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})

config = uvicorn.Config(
    app, http=HttpProtocol, ws="none", lifespan="off", log_config=None, loop=sys.argv[2], timeout_graceful_shutdown=10
)
with bind_socket("127.0.0.1", int(sys.argv[1])) as bound:
    DrainingServer(config, drain_s=float(sys.argv[3])).run(sockets=[bound])
"""


@contextlib.contextmanager
def serving(port: int, loop: str = "uvloop", drain_s: float = 2) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, "-c", SERVER, str(port), loop, str(drain_s)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until_listening(port)
            yield process
        finally:
            process.kill()


def wait_until_listening(port: int, within_s: float = 60) -> None:
    end = time.monotonic() + within_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < end
            time.sleep(0.02)
        else:
            return


class Clients:
    """Send requests from threads until stopped, half of them with httpx, on kept connections."""

    def __init__(self, port: int, path: str = "/") -> None:
        self._url, self._port, self._path = f"http://127.0.0.1:{port}", port, path
        self._stopped = threading.Event()
        self.outcomes: Counter[str] = Counter()
        self._threads = [
            threading.Thread(target=self._httpx if number % 2 else self._http_client) for number in range(CLIENTS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _http_client(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        while not self._stopped.wait(PAUSE_S):
            try:
                connection.request("GET", self._path)
                response = connection.getresponse()
                response.read()
            except ConnectionRefusedError:
                self.outcomes["refused"] += 1
                connection.close()
            except (OSError, http.client.HTTPException) as error:
                self.outcomes[repr(error)] += 1
                connection.close()
            else:
                closing = response.getheader("Connection", "")
                self.outcomes[f"{response.status} {closing}".strip()] += 1
        connection.close()

    def _httpx(self) -> None:
        with httpx.Client(base_url=self._url, trust_env=False, verify=False, timeout=20) as client:
            while not self._stopped.wait(PAUSE_S):
                try:
                    response = client.get(self._path)
                except httpx.ConnectError:
                    self.outcomes["refused"] += 1
                except httpx.HTTPError as error:
                    self.outcomes[repr(error)] += 1
                else:
                    closing = response.headers.get("Connection", "")
                    self.outcomes[f"{response.status_code} {closing}".strip()] += 1


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_no_client_gets_a_read_error_while_the_server_is_stopped_again_and_again(loop: str) -> None:
    port = free_port()
    clients = Clients(port)
    for _ in range(STOPS):
        with serving(port, loop) as process:
            time.sleep(0.5)
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) in (0, -signal.SIGTERM)
    clients.stop()

    assert clients.outcomes.keys() <= {"200", "200 close", "refused"}, clients.outcomes
    assert clients.outcomes["200"]
    assert clients.outcomes["200 close"] >= CLIENTS


@contextlib.contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        yield connection


REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def test_a_server_that_stops_responds_on_idle_new_and_half_sent_connections() -> None:
    with serving(port := free_port()) as process, contextlib.ExitStack() as stack:
        kept, half, idle, never = (stack.enter_context(connected(port)) for _ in range(4))
        for one in (kept, half, idle):
            one.sendall(REQUEST)
            assert b"200 OK" in one.recv(1000)
        half.sendall(REQUEST[:20])
        process.send_signal(signal.SIGSTOP)  # so that these connections are not accepted before the signal
        waiting = [stack.enter_context(connected(port)) for _ in range(5)]
        for one in waiting:
            one.sendall(REQUEST)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        received = [one.recv(1000) for one in waiting]  # in one piece, as `SingleWriteTransport` writes it
        time.sleep(0.3)
        kept.sendall(REQUEST)
        closing = [read_all(kept)]
        idle_at_the_end, never_used = read_all(idle), read_all(never)
        half.sendall(REQUEST[20:])
        closing.append(read_all(half))
        process.wait(20)

    assert all(b"200 OK" in one for one in [*received, *closing]), (received, closing)
    assert all(b"connection: close" in one for one in closing)
    assert (b"", b"") == (idle_at_the_end, never_used)


def test_a_request_in_progress_completes_and_its_response_closes_the_connection() -> None:
    with serving(port := free_port(), drain_s=0.1) as process, connected(port) as connection:
        connection.sendall(b"GET /?1 HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        response = read_all(connection)

    assert b"200 OK" in response
    assert b"connection: close" in response


def test_a_server_without_connections_stops_at_once() -> None:
    with serving(free_port(), drain_s=60) as process:
        process.send_signal(signal.SIGTERM)

        assert process.wait(20) in (0, -signal.SIGTERM)


def read_all(connection: socket.socket) -> bytes:
    received = b""
    while piece := connection.recv(65_536):
        received += piece
    return received
