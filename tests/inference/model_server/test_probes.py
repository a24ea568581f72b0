"""Health probes and scrapes, which come every few seconds, are not logged."""

import io
import logging
from collections.abc import Iterator

import httpx
import pytest
import structlog

from product_classifier.observability import configure_logging, get_logger
from tests.support.fakes import FakeStore
from tests.support.feedback_service_harness import FeedbackHarness
from tests.support.model_servers import MODULES, RunningServer

MODEL_PROBES = ("/v2/health/live", "/v2/health/ready", "/metrics")


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Everything that is logged from level info on."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level, out = root.handlers[:], root.level, io.StringIO()
    configure_logging("test", level="info", to=out)
    yield out
    structlog.configure(**before)
    root.handlers[:], root.level = handlers, level


@pytest.mark.parametrize("name", MODULES)
def test_a_model_server_logs_requests_but_no_probes(servers: dict[str, RunningServer], name: str) -> None:
    server = servers[name]
    before = server.logged()
    probed = [httpx.get(f"{server.url}{path}").status_code for path in MODEL_PROBES]
    after = server.logged()
    httpx.post(server.infer, json={})

    assert [200, 200, 200] == probed
    assert before == after != server.logged()


def test_the_feedback_service_logs_no_probes(lines: io.StringIO) -> None:
    with FeedbackHarness(FakeStore(), None) as harness:
        probed = [harness.client.get(path).status_code for path in ("/healthz", "/readyz", "/metrics")]

    assert [200, 200, 200] == probed
    assert "" == lines.getvalue()
    get_logger().info("marker_logged")
    assert "marker_logged" in lines.getvalue()
