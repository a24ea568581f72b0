"""The fusion transformer with predictors that are up, down, slow or of another release."""

import asyncio
import base64
import http.server
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import numpy as np
import pytest

from inference.fusion_transformer import http_predictor
from inference.fusion_transformer.http_predictor import CircuitBreaker, HttpPredictorClient
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import ModelUnavailable
from product_classifier.releases.release import Release, load_fusion, load_image, load_text
from tests.support.fixtures_models import draw_photo
from tests.support.model_servers import RunningServer, launch, served, wait_until_ready
from tests.support.tiny_release import photo

PHOTO = photo(7)


@pytest.fixture
def server(servers: dict[str, RunningServer]) -> RunningServer:
    return servers["fusion-transformer"]


def infer(server: RunningServer, rows: list[tuple[str, str, bytes]], **parameters: object) -> httpx.Response:
    columns = {
        "designation": [row[0] for row in rows],
        "description": [row[1] for row in rows],
        "image": [base64.b64encode(row[2]).decode() for row in rows],
    }
    inputs = [{"name": name, "shape": [len(rows)], "datatype": "BYTES", "data": data} for name, data in columns.items()]
    return httpx.post(server.infer, json={"inputs": inputs, "parameters": parameters}, timeout=30)


def output(reply: httpx.Response, name: str = "probabilities") -> np.ndarray:
    assert 200 == reply.status_code, reply.text
    (found,) = [one for one in reply.json()["outputs"] if one["name"] == name]
    return np.reshape(found["data"], found["shape"])


def parameters_of(reply: httpx.Response) -> tuple[object, ...]:
    parameters = reply.json()["parameters"]
    return parameters["degraded"], parameters["modalities"], parameters.get("unavailable")


def test_predictions_are_combined_as_the_bundles_do(server: RunningServer, releases: tuple[Release, Release]) -> None:
    rows = [("Livre", "", PHOTO), ("Lampe", "neuve", b""), ("", "", photo(99))]
    text, image, fusion = (load(releases[0].path)[0] for load in (load_text, load_image, load_fusion))
    words = text.probabilities([row[0] for row in rows], [row[1] for row in rows])
    photos = image.probabilities([PHOTO, PHOTO, photo(99)])
    expected = fusion.combine(words, photos, np.array([True, True, False]), np.array([True, False, True]))

    reply = infer(server, rows)

    np.testing.assert_allclose(output(reply), expected, atol=1e-5)
    assert [int(CHALLENGE.codes[column]) for column in expected.argmax(axis=1)] == output(reply, "code").tolist()
    assert (False, "text,image", None) == parameters_of(reply)
    decisions = ["accept" if one else "review" for one in fusion.accepts(expected)]
    assert ",".join(decisions) == reply.json()["parameters"]["decision"]
    np.testing.assert_allclose(output(reply, "text_probabilities")[2], 0)
    np.testing.assert_allclose(output(reply, "image_probabilities")[2], photos[2], atol=1e-5)


def test_a_trained_release_classifies_the_category_labels(server: RunningServer) -> None:
    rows = [(category.label("fr"), "", draw_photo(index)) for index, category in enumerate(CHALLENGE)]

    codes = output(infer(server, rows), "code")

    assert np.mean(codes == np.array(list(map(int, CHALLENGE.codes)))) > 0.8


def test_metadata_names_three_inputs_and_the_code(server: RunningServer) -> None:
    metadata = httpx.get(f"{server.url}/v2/models/fusion-transformer").json()

    assert ["designation", "description", "image"] == [one["name"] for one in metadata["inputs"]]
    assert {"name": "code", "datatype": "INT64", "shape": [-1]} in metadata["outputs"]


def test_v1_returns_an_object_per_product(server: RunningServer) -> None:
    instances = [{"designation": "Livre", "image": {"b64": base64.b64encode(PHOTO).decode()}}, {"description": "x"}]

    reply = httpx.post(server.predict, json={"instances": instances}).json()

    assert {"probabilities", "code", "text_probabilities", "image_probabilities"} == reply["predictions"][0].keys()
    assert reply["predictions"][1]["code"] in map(int, CHALLENGE.codes)
    assert (False, "text,image") == (reply["degraded"], reply["modalities"])


def test_inputs_may_be_left_out(server: RunningServer) -> None:
    tensor = {"name": "designation", "shape": [1], "datatype": "BYTES", "data": ["Livre"]}

    reply = httpx.post(server.infer, json={"inputs": [tensor], "outputs": [{"name": "code"}]})

    assert ["code"] == [one["name"] for one in reply.json()["outputs"]]
    assert (False, "text", None) == parameters_of(reply)


def test_a_product_without_text_and_photo_is_refused_with_its_row(server: RunningServer) -> None:
    reply = infer(server, [("Livre", "", b""), (" ", "\n", b"")])

    assert (400, "row 1 has neither text nor image") == (reply.status_code, reply.json()["error"])


def test_an_invalid_photo_is_refused_with_the_row_of_the_request(server: RunningServer) -> None:
    reply = infer(server, [("Livre", "", b""), ("Lampe", "", PHOTO), ("", "", b"not a photo")])

    error = reply.json()
    assert (400, "image", 2) == (reply.status_code, error["input"], error["row"])
    assert "input 'image', row 2: " in error["error"]


@pytest.fixture(scope="module")
def partly_down(
    releases: tuple[Release, Release], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[RunningServer, RunningServer, "FakePredictor"]]:
    """A fusion, its text predictor, and a fake image predictor whose response a test sets."""
    with fake_predictor() as image:
        environment = {"FUSION_IMAGE_URL": f"http://127.0.0.1:{image.server_port}", "FUSION_DEADLINE_S": "0.5"}
        names = ["text-predictor", "fusion-transformer"]
        with served(names, releases[0].path, tmp_path_factory.mktemp("logs"), environment=environment) as running:
            yield running["fusion-transformer"], running["text-predictor"], image


PartlyDown = tuple[RunningServer, RunningServer, "FakePredictor"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (503, b"{}"),
        (200, b"nonsense"),
        (200, b"{}"),
        (404, b'{"error": "no model", "kind": "unknown"}'),
        (0, b""),
    ],
    ids=str,
)
def test_a_response_without_the_image_predictor_is_degraded(partly_down: PartlyDown, status: int, body: bytes) -> None:
    fusion, _, image = partly_down
    image.reply = (status, body)

    both, text = infer(fusion, [("Livre", "", PHOTO)]), infer(fusion, [("Livre", "", b"")])

    assert (True, "text", "image") == parameters_of(both)
    assert (False, "text", None) == parameters_of(text)
    np.testing.assert_allclose(output(both), output(text), atol=1e-6)


def test_rows_without_any_prediction_are_named(partly_down: PartlyDown) -> None:
    partly_down[2].reply = (500, b"{}")

    reply = infer(partly_down[0], [("Livre", "", PHOTO), ("", "", PHOTO)])

    assert (503, "1", [1]) == (reply.status_code, reply.headers["retry-after"], reply.json()["rows"])
    assert "image-predictor responded with status 500" in reply.json()["error"]


def test_a_predictor_that_hangs_is_unavailable_after_the_deadline(partly_down: PartlyDown) -> None:
    fusion, text, _ = partly_down
    text.process.send_signal(signal.SIGSTOP)
    try:
        reply = infer(fusion, [("Livre", "", b"")])
        assert 503 == reply.status_code
        assert "text-predictor did not respond within 0.5 s" in reply.json()["error"]
    finally:
        text.process.send_signal(signal.SIGCONT)
    assert (False, "text", None) == parameters_of(infer(fusion, [("Livre", "", b"")]))


def test_degraded_responses_are_counted(partly_down: PartlyDown) -> None:
    partly_down[2].reply = (500, b"{}")
    infer(partly_down[0], [("Livre", "", PHOTO)])

    metrics = httpx.get(f"{partly_down[0].url}/metrics").text

    assert 'degraded_responses_total{missing="image"}' in metrics
    assert 'predictor_request_duration_seconds_count{outcome="unavailable",predictor="image-predictor"}' in metrics
    assert 'outcome="degraded"' in metrics


def test_a_predictor_that_restarts_is_used_again(
    partly_down: PartlyDown, releases: tuple[Release, Release], tmp_path: Path
) -> None:
    fusion, text, image = partly_down
    image.reply = (500, b"{}")
    text.process.kill()
    text.process.wait()

    reply = infer(fusion, [("Livre", "", PHOTO)])
    ready = httpx.get(f"{fusion.url}/v2/health/ready").status_code
    text.process = launch("text-predictor", releases[0].path, tmp_path / "log", http=text.http).process
    wait_until_ready(text)

    assert (503, "unavailable", 200) == (reply.status_code, reply.json()["kind"], ready)
    assert (True, "text", "image") == parameters_of(infer(fusion, [("Livre", "", PHOTO)]))


class FakePredictor(http.server.ThreadingHTTPServer):
    reply: tuple[int, bytes] = (500, b"{}")


@contextmanager
def fake_predictor() -> Iterator[FakePredictor]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, body = server.reply
            if not status:
                self.close_connection = True
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = FakePredictor(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def test_the_circuit_opens_after_faults_and_admits_one_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    breaker = CircuitBreaker(limit=2, reset_s=1.0)

    def states(count: int) -> list[bool]:
        return [breaker.is_open() for _ in range(count)]

    breaker.record(healthy=False)
    breaker.record(healthy=True)
    breaker.record(healthy=False)
    assert [False] == states(1)
    breaker.record(healthy=False)
    assert [True, True] == states(2)
    now[0] += 1.1
    assert [False, True] == states(2)
    breaker.record(healthy=True)
    assert [False, False] == states(2)


async def test_missed_deadlines_open_the_circuit_only_if_the_predictor_does_not_respond(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    live, outcomes = [True], {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):  # a later probe may use the connection of the first
                if head.startswith(b"GET /v2/health/live") and live[0]:
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    for alive in (True, False):
        live[0] = alive
        monkeypatch.setattr(http_predictor, "PROBE_S", 60.0 if alive else 0.3)  # a busy machine responds late, too
        client = HttpPredictorClient(url, "image-predictor", 0.05, 64)
        slow = [client.predict({"image": [b"x"]}, 27, "") for _ in range(8)]
        assert all(isinstance(one, ModelUnavailable) for one in await asyncio.gather(*slow, return_exceptions=True))
        assert client._probe is not None
        await client._probe
        outcomes[alive] = client._breaker.is_open()
        client.close()
    server.close()

    assert {True: False, False: True} == outcomes
