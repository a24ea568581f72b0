"""Every line of every service, as JSON, is of one schema."""

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import structlog

import product_classifier
from product_classifier.observability import configure_logging, get_logger, request_id, set_request_id, set_traceparent
from tests.support.running_product import running_product

SCHEMA = json.loads((Path(product_classifier.__file__).parent / "log-line.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    before, to = structlog.get_config(), io.StringIO()
    configure_logging("a-service", json=True, to=to)
    yield to
    structlog.configure(**before)
    set_traceparent(None)
    request_id.set("")


def test_the_schema_itself_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_events_exceptions_and_messages_of_libraries_are_of_the_schema(lines: io.StringIO) -> None:
    set_request_id("r-1")
    set_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    get_logger().info("release_loaded", release="r-1", seconds=0.5, keys=["a"], password="x")
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    get_logger().error("request_failed", exc_info=ValueError("a\nb"))

    found = [json.loads(line) for line in lines.getvalue().splitlines()]
    for line in found:
        VALIDATOR.validate(line)
    assert 3 == len(found)
    assert "[hidden]" == found[0]["password"]


@pytest.mark.parametrize(
    "changes",
    [{"time": "12:00"}, {"level": "notice"}, {"event": "A sentence."}, {"service": ""}, {"trace_id": "x"}],
    ids=["time", "level", "event", "service", "trace id"],
)
def test_the_schema_refuses_other_lines(changes: dict[str, str]) -> None:
    line = {"time": "2026-11-28T12:00:00Z", "level": "info", "event": "server_started", "service": "auth-proxy"}
    VALIDATOR.validate(line)

    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(line | changes)


@pytest.mark.slow
def test_every_line_of_every_service_is_of_the_schema(tmp_path: Path) -> None:
    with running_product(tmp_path) as product:
        product.client.post("/predict", json={"designation": "Livre"})
        product.client.post("/predict", json={"designation": 1})
        product.client.get("/nowhere")
        body = {"product": {"designation": "Livre"}, "code": 2583}
        assert 201 == product.client.post("/feedback", json=body).status_code
        product.process("image-predictor").kill()
        product.client.post("/predict", json={"designation": "Livre", "image": "x"})
        logged = {name: product.log_lines(name) for name in product.metrics}

    assert logged["auth-proxy"]
    assert logged["image-predictor"]
    for name, found in logged.items():  # the feedback service logs nothing while nothing is wrong
        for line in found:
            VALIDATOR.validate(line)
            assert name == line["service"]
