"""Clients that offer to upgrade to another protocol: the offer is ignored, the request served.

Java's HttpClient offers h2c with its first request, `curl --http2` with each.
"""

import http.client
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn

from inference.compat.connection_limits import ConnectionLimits
from inference.compat.uvicorn import limited_protocol
from tests.inference.auth_proxy.conftest import start
from tests.support.fake_models import running
from tests.support.fakes import FakeStore
from tests.support.feedback_service_harness import FeedbackHarness, product_correction
from tests.support.model_servers import RunningServer

H2C = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAEAAEAAAAIAAAABAAMAAABkAAQBAAAA"}
OFFERS = {
    "h2c": H2C,
    "h2c in lower case": {name.lower(): value.lower() for name, value in H2C.items()},
    "h2c and keep-alive": H2C | {"Connection": "keep-alive, Upgrade, HTTP2-Settings"},
    "several protocols": {"Connection": "upgrade", "Upgrade": "h2c, TLS/1.0"},
    "websocket": {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"},
}


@dataclass
class Target:
    """A route of a server that reads a body, and one that reads none."""

    port: int
    path: str
    body: bytes
    probe: str
    headers: dict[str, str]

    @property
    def head(self) -> dict[str, str]:
        return {"Host": "x", "Content-Type": "application/json", **self.headers}


@pytest.fixture(scope="module")
def targets(servers: dict[str, RunningServer], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Target]]:
    tensor = {"name": "designation", "shape": [1], "datatype": "BYTES", "data": ["Livre"]}
    model = Target(
        servers["text-predictor"].http,
        "/v2/models/text-predictor/infer",
        json.dumps({"inputs": [tensor]}).encode(),
        "/v2/health/live",
        {},
    )
    with FeedbackHarness(FakeStore(), None) as harness:
        protocol = limited_protocol(ConnectionLimits(100))
        config = uvicorn.Config(harness.app, port=0, http=protocol, lifespan="off", log_config=None)
        with running(uvicorn.Server(config)) as port:
            correction = json.dumps(product_correction()).encode()
            feedback = Target(port, "/feedback", correction, "/healthz", harness.headers("ann"))
            for gateway in start(tmp_path_factory.mktemp("gateway")):
                predict = Target(gateway.port, "/predict", b'{"designation": "x"}', "/healthz", gateway.headers())
                yield {"gateway": predict, "model server": model, "feedback service": feedback}


@pytest.fixture(params=["gateway", "model server", "feedback service"])
def target(request: pytest.FixtureRequest, targets: dict[str, Target]) -> Target:
    return targets[request.param]


def head(method: str, path: str, headers: dict[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


def statuses(port: int, *pieces: bytes) -> list[int]:
    """Send pieces one after the other on one connection; return the status of each response."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
        while data := connection.recv(65_536):
            received += data
    return [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("framing", ["length", "chunks", "no body"])
@pytest.mark.parametrize("pieces", ["at once", "head and body apart", "byte by byte"])
def test_the_offer_is_ignored_and_the_body_kept(target: Target, offer: str, framing: str, pieces: str) -> None:
    headers, method, path, body = {**target.head, **OFFERS[offer]}, "POST", target.path, target.body
    if framing == "chunks":
        headers["Transfer-Encoding"] = "chunked"
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:])) + b"0\r\n\r\n"
    elif framing == "length":
        headers["Content-Length"] = str(len(body))
    else:
        method, path, body = "GET", target.probe, b""
    first, last = head(method, path, headers), head("GET", target.probe, {"Host": "x", "Connection": "close"})
    everything = first + body + last
    sent = {
        "at once": [everything],
        "head and body apart": [first, body, last],
        "byte by byte": [everything[at : at + 1] for at in range(len(everything))],
    }[pieces]

    first_status, last_status = statuses(target.port, *sent)

    assert first_status in {200, 201}
    assert 200 == last_status


def test_requests_with_offers_are_pipelined(target: Target) -> None:
    probe = head("GET", target.probe, {"Host": "x", **H2C})
    last = head("GET", target.probe, {"Host": "x", **H2C, "Connection": "Upgrade, HTTP2-Settings, close"})

    assert [200] * 6 == statuses(target.port, probe * 5 + last)


def test_the_http2_preface_gets_a_readable_400(target: Target) -> None:
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")
    with socket.create_connection(("127.0.0.1", target.port), timeout=20) as connection:
        connection.sendall(preface)
        response = http.client.HTTPResponse(connection)
        response.begin()
        status, text = response.status, response.read()
        rest = connection.recv(1)

    assert (400, b"") == (status, rest)
    assert b"use HTTP/1.1" in text


def test_a_tunnel_is_refused(target: Target) -> None:
    connect = head("CONNECT", "127.0.0.1:22", {"Host": "x"})

    assert [400] == statuses(target.port, connect + head("GET", target.probe, {"Host": "x"}))


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_with_http2(target: Target) -> None:
    url, options = f"http://127.0.0.1:{target.port}", []
    for name, value in target.head.items():
        options += ["-H", f"{name}: {value}"]
    command = ["curl", "-sS", "--http2", "-o", "-", "-w", " %{http_code} %{num_connects}\n", *options]
    command += ["--data-binary", target.body.decode(), url + target.path, url + target.path]

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    written = [line.rsplit(" ", 2)[1:] for line in done.stdout.splitlines()]
    assert {"200", "201"} >= {status for status, _ in written}
    assert ["1", "0"] == [connections for _, connections in written]


JAVA = """
import java.net.URI;
import java.net.http.*;

class Client {
    public static void main(String[] given) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        for (int i = 0; i < 2; i++) {
            HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(given[0]))
                .POST(HttpRequest.BodyPublishers.ofString(given[1]));
            for (int at = 2; at < given.length; at += 2) request.header(given[at], given[at + 1]);
            System.out.println(client.send(request.build(), HttpResponse.BodyHandlers.ofString()).statusCode());
        }
    }
}
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("javac") is None, reason="Java is not installed")
def test_the_http_client_of_java(targets: dict[str, Target], tmp_path: Path) -> None:
    source = tmp_path / "Client.java"
    source.write_text(JAVA)
    for target in targets.values():
        headers = [part for pair in target.head.items() if pair[0] != "Host" for part in pair]
        url = f"http://127.0.0.1:{target.port}{target.path}"
        command = ["java", str(source), url, target.body.decode(), *headers]

        done = subprocess.run(command, capture_output=True, text=True, check=True)

        assert {"200", "201"} >= set(done.stdout.split())
        assert 2 == len(done.stdout.split())
