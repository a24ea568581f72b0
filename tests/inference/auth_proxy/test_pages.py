"""The open pages: health, the files of the workbench, the documentation."""

import re
import socket
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from inference.auth_proxy.health import Readiness
from product_classifier.model_names import MODELS
from tests.inference.auth_proxy.conftest import Gateway

STATIC = Path(str(files("inference.auth_proxy.workbench") / "static"))
MODULES = sorted(str(path.relative_to(STATIC)) for path in STATIC.rglob("*.js"))
STYLES = sorted(str(path.relative_to(STATIC)) for path in STATIC.rglob("styles/*.css"))
SVG_NAMESPACE = "http://www.w3.org/2000/svg"
SWAGGER_UI = ["/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"]
PAGES = ["/", "/docs", "/docs/initializer.js", *(f"/workbench/{name}" for name in [*MODULES, *STYLES])]


@pytest.mark.parametrize("path", PAGES)
def test_pages_load_nothing_from_elsewhere_and_cannot_be_framed(gateway: Gateway, path: str) -> None:
    with gateway.client(None) as client:
        reply = client.get(path)

    policy = reply.headers["content-security-policy"]
    assert reply.status_code == 200
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert (reply.headers["x-content-type-options"], reply.headers["x-frame-options"]) == ("nosniff", "DENY")
    assert not re.search(r"https?://|//[a-z]+\.", reply.text.replace(SVG_NAMESPACE, ""))
    assert "<style" not in reply.text
    assert not re.search(r"\son\w+=|style=|innerHTML|eval\(|document\.write", reply.text)


@pytest.mark.parametrize("path", [*PAGES, *SWAGGER_UI, "/openapi.json"])
def test_an_open_document_is_sent_once_to_a_client_that_keeps_it(gateway: Gateway, path: str) -> None:
    with gateway.client(None) as client:
        first = client.get(path)
        known = {"If-None-Match": f'"other", W/{first.headers["etag"]}'}
        again = client.get(path, headers=known)
        changed = client.get(path, headers={"If-None-Match": '"other"'})

    assert (200, 304, 200) == (first.status_code, again.status_code, changed.status_code)
    assert (b"", first.content) == (again.content, changed.content)
    assert first.headers["etag"] == again.headers["etag"]
    assert "no-cache" == first.headers["cache-control"]


@pytest.mark.parametrize("path", SWAGGER_UI)
def test_swagger_ui_runs_under_the_policy_of_the_pages(gateway: Gateway, path: str) -> None:
    with gateway.client(None) as client:
        reply = client.get(path)

    assert (200, "nosniff") == (reply.status_code, reply.headers["x-content-type-options"])
    assert "script-src 'self'; style-src 'self'" in reply.headers["content-security-policy"]


def test_the_openapi_document_is_serialized_once(gateway: Gateway) -> None:
    requests = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    with gateway.client(None) as client:
        size = len(client.get("/openapi.json").content)

    began = time.process_time()
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
            connection.sendall(requests * 17)
            received = 0
            while received < 17 * size:
                received += len(connection.recv(1 << 20))

    assert 2 > time.process_time() - began  # gateway and client of 340 responses; serialized each time, 10 s


def test_every_module_imports_files_that_exist_and_the_page_names_every_style_sheet() -> None:
    page = (STATIC / "index.html").read_text()
    imported = [
        (module, name)
        for module in MODULES
        for name in re.findall(r"(?:from |import\()\"(\.[^\"]+)\"", (STATIC / module).read_text())
    ]

    assert [] == [
        f"{module}: {name}" for module, name in imported if not (STATIC / module).parent.joinpath(name).is_file()
    ]
    assert {f"workbench/{name}" for name in STYLES} == set(re.findall(r'href="([^"]+\.css)"', page))


def test_the_workbench_fits_its_limits() -> None:
    lines = {name: len((STATIC / name).read_text().splitlines()) for name in [*MODULES, *STYLES]}

    assert {} == {name: count for name, count in lines.items() if count >= 250}


def test_a_text_is_sent_compressed_to_clients_that_accept_it(gateway: Gateway) -> None:
    with gateway.client(None) as client:
        compressed = client.get("/workbench/core/dom.js", headers={"Accept-Encoding": "gzip"})
        plain = client.get("/workbench/core/dom.js", headers={"Accept-Encoding": "identity"})

    assert ("gzip", None) == (compressed.headers.get("content-encoding"), plain.headers.get("content-encoding"))
    assert compressed.text == plain.text == (STATIC / "core/dom.js").read_text()
    assert compressed.headers["etag"] != plain.headers["etag"]
    assert int(compressed.headers["content-length"]) < int(plain.headers["content-length"]) / 2


@pytest.mark.parametrize(
    ("silent", "away", "status", "state"),
    [(False, False, 200, "ready"), (True, False, 200, "degraded"), (False, True, 503, "starting")],
)
def test_readiness_reports_each_dependency(
    own_gateway: Gateway, silent: bool, away: bool, status: int, state: str
) -> None:
    own_gateway.store.away = silent
    own_gateway.models.away = away
    with own_gateway.client(None) as client:
        reply = client.get("/readyz")

    assert (reply.status_code, reply.json()["status"]) == (status, state)
    assert reply.json()["checks"] == {
        "text-predictor": not away,
        "image-predictor": not away,
        "fusion-transformer": not away,
        "store": not silent,
        "keys": True,
        "users": True,
        "api_keys": True,
    }


TEXT, IMAGE, FUSION = MODELS
EARLY, LATE = 5.0, 500.0


class Answering:
    """Backends, of which those in `now` answer, and a store that responds."""

    def __init__(self) -> None:
        self.now: set[str] = set()

    async def ready(self, model: str) -> bool:
        return model in self.now

    async def store_responds(self) -> bool:
        return True


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param([(EARLY, "", "starting"), (EARLY, "text image fusion", "ready")], id="a start"),
        pytest.param([(EARLY, "text fusion", "starting"), (EARLY, "text image fusion", "ready")], id="one is slow"),
        pytest.param([(EARLY, "text fusion", "starting"), (LATE, "text fusion", "degraded")], id="one never starts"),
        pytest.param([(LATE, "image fusion", "degraded")], id="restarted in an outage"),
        pytest.param([(EARLY, "text image fusion", "ready"), (EARLY, "image fusion", "degraded")], id="one is lost"),
        pytest.param(
            [(EARLY, "text image fusion", "ready"), (EARLY, "text image", "unavailable")], id="fusion is lost"
        ),
        pytest.param([(EARLY, "text image fusion", "ready"), (EARLY, "fusion", "unavailable")], id="both are lost"),
        pytest.param(
            [(EARLY, "", "starting"), (LATE, "", "unavailable"), (LATE, "text fusion", "degraded")], id="late"
        ),
    ],
)
async def test_a_starting_model_delays_readiness_and_a_lost_one_degrades_it(
    seen: list[tuple[float, str, str]],
) -> None:
    names = {"text": TEXT, "image": IMAGE, "fusion": FUSION}
    answering, clock = Answering(), [0.0]
    readiness = Readiness(answering, answering, 120.0, lambda: clock[0])  # type: ignore[arg-type]  # they have what it asks

    for seconds, answer, state in seen:
        clock[0] += seconds
        answering.now = {names[name] for name in answer.split()}
        assert state == (await readiness.check()).status


def test_readiness_is_checked_at_most_once_a_second(gateway: Gateway) -> None:
    with gateway.client(None) as client:
        for _ in range(20):
            client.get("/readyz")

    assert len(gateway.models.seen) <= 6


def test_the_gateway_is_a_v2_server_of_three_models(gateway: Gateway) -> None:
    with gateway.client() as client:
        answers: list[Any] = [
            client.get(path).json() for path in ("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models")
        ]

    assert answers[0]["extensions"] == ["binary_tensor_data"]
    assert answers[1:3] == [{"live": True}, {"ready": True}]
    assert answers[3] == {"models": ["text-predictor", "image-predictor", "fusion-transformer"]}


def test_metrics_are_counted_and_not_public(gateway: Gateway) -> None:
    with gateway.client() as client:
        client.post("/predict", json={"designation": "x"})
        status = client.get("/metrics").status_code

    value = gateway.metrics.registry.get_sample_value
    labels = {"route": "/predict", "method": "POST", "status": "200"}
    predicted = {sample.labels["degraded"] for sample in gateway.metrics.predictions.collect()[0].samples}
    assert status == 404
    assert (value("product_classifier_http_request_duration_seconds_count", labels) or 0) >= 1
    assert {"false"} == predicted
    assert (value("product_classifier_prediction_records_total", {"outcome": "stored"}) or 0) >= 1


def test_unknown_paths_do_not_grow_the_metrics(gateway: Gateway) -> None:
    with gateway.client(None) as client:
        for n in range(50):
            client.get(f"/x{n}")

    routes = {s.labels.get("route") for m in gateway.metrics.registry.collect() for s in m.samples}
    assert not [route for route in routes if route and route.startswith("/x")]
    assert "unknown" in routes
