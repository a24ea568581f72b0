"""Traces of the whole product, as an OTLP collector receives them."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.shared import failures
from product_classifier import tracing
from product_classifier.observability import traceparent
from product_classifier.tracing import run_traceparent
from tests.support.otlp_collector import OtlpCollector, ReceivedSpan, otlp_collector
from tests.support.running_product import RunningProduct, running_product
from tests.support.tiny_release import photo

SERVER, CLIENT = 2, 3
"""Kinds of spans in the protocol."""
SERVING = {"auth-proxy", "fusion-transformer", "text-predictor", "image-predictor"}


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningProduct, OtlpCollector]]:
    with (
        otlp_collector() as (collector, variables),
        running_product(tmp_path_factory.mktemp("product"), variables) as product,
    ):
        yield product, collector


def of_trace(spans: list[ReceivedSpan], trace_id: str) -> list[ReceivedSpan]:
    return [span for span in spans if span.trace_id == trace_id]


def predict(product: RunningProduct, **headers: str) -> dict[str, object]:
    body = {"designation": "Piscine gonflable", "image": base64.b64encode(photo()).decode()}
    response = product.client.post("/predict", json=body, headers=headers)
    assert 200 == response.status_code, response.text
    return response.json()


@pytest.mark.slow
def test_a_prediction_is_one_trace_through_all_services(traced: tuple[RunningProduct, OtlpCollector]) -> None:
    product, collector = traced
    trace_id, caller = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"

    predict(product, traceparent=f"00-{trace_id}-{caller}-01")

    spans = of_trace(collector.wait_for(lambda spans: len(of_trace(spans, trace_id)) >= 8), trace_id)
    by_id = {span.span_id: span for span in spans}
    paths = {
        (span.service, span.name, by_id[span.parent_id].service if span.parent_id in by_id else "caller")
        for span in spans
    }
    infer = {name: f"POST /v2/models/{name}/infer" for name in SERVING}
    assert paths == {
        ("auth-proxy", "POST /predict", "caller"),
        ("auth-proxy", "POST fusion-transformer", "auth-proxy"),
        ("auth-proxy", "write prediction record", "auth-proxy"),
        ("fusion-transformer", infer["fusion-transformer"], "auth-proxy"),
        ("fusion-transformer", "POST text-predictor", "fusion-transformer"),
        ("fusion-transformer", "POST image-predictor", "fusion-transformer"),
        ("text-predictor", infer["text-predictor"], "fusion-transformer"),
        ("image-predictor", infer["image-predictor"], "fusion-transformer"),
    }
    assert [caller] == [span.parent_id for span in spans if span.parent_id not in by_id]
    assert {"200"} == {span.attributes["http.response.status_code"] for span in spans if span.kind == SERVER}


@pytest.mark.slow
def test_log_lines_and_problems_have_the_id_of_the_trace_that_began_here(
    traced: tuple[RunningProduct, OtlpCollector],
) -> None:
    product, collector = traced
    headers = {"X-Request-Id": "trace-of-lines"}

    predict(product, **headers)
    problem = product.client.post("/predict", json={"designation": 1}, headers=headers).json()

    logged = {name: product.log_lines(name) for name in SERVING}
    ids = {
        name: {line["trace_id"] for line in lines if line.get("request_id") == "trace-of-lines"}
        for name, lines in logged.items()
    }
    (trace_id,) = ids["fusion-transformer"]
    assert {trace_id} == ids["text-predictor"] == ids["image-predictor"]
    assert {trace_id, problem["trace_id"]} == ids["auth-proxy"]
    collector.wait_for(lambda spans: SERVING == {span.service for span in of_trace(spans, str(trace_id))})


@pytest.mark.slow
def test_a_correction_is_one_trace_to_the_trigger(traced: tuple[RunningProduct, OtlpCollector]) -> None:
    product, collector = traced
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    prediction = predict(product)

    body = {"prediction_id": prediction["prediction_id"], "code": 2583}
    response = product.client.post(
        "/feedback", json=body, headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}
    )

    assert 201 == response.status_code
    services = {"auth-proxy", "feedback-service", "retrain-trigger"}
    spans = collector.wait_for(lambda spans: services == {span.service for span in of_trace(spans, trace_id)})
    names = {(span.service, span.name) for span in of_trace(spans, trace_id)}
    assert names >= {("feedback-service", "POST /feedback"), ("retrain-trigger", "POST /reconcile")}


def test_the_steps_of_a_run_are_one_trace_whatever_starts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = "retrain-000007-0123456789ab"
    with otlp_collector() as (collector, variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        try:
            for step in ("start_run", "train_text"):
                with failures.record_step(step, f"file://{tmp_path}", run_id):
                    assert run_traceparent(run_id)[3:35] == traceparent.get()[3:35]
        finally:
            tracing.stop_tracing()

        spans = collector.wait_for(lambda spans: len(spans) == 2)
    trace_id, parent = run_traceparent(run_id)[3:35], run_traceparent(run_id)[36:52]
    assert {("start_run", trace_id, parent), ("train_text", trace_id, parent)} == {
        (span.name, span.trace_id, span.parent_id) for span in spans
    }


@pytest.mark.parametrize(
    ("environment", "on"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_TRACES_SAMPLER": "always_on"}, False),
    ],
    ids=["default", "endpoint", "traces endpoint", "disabled", "no exporter", "sampler alone"],
)
def test_the_standard_variables_turn_traces_on(environment: dict[str, str], on: bool) -> None:
    assert on == tracing.is_configured(environment)


def test_while_traces_are_off_a_span_is_one_shared_object() -> None:
    assert tracing.span("a") is tracing.span("b", "server", http__route="/")
    with tracing.span("a") as opened:
        opened.set_status(500)
    assert "" == traceparent.get()
