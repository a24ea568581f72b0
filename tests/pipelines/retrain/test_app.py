import threading
from functools import partial
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry

from pipelines.retrain.app import create_app
from pipelines.retrain.reconcile_loop import ReconcileLoop
from pipelines.retrain.run_logs import RunLogs
from pipelines.retrain.trigger_metrics import TriggerMetrics
from product_classifier.retraining import RunStore
from product_classifier.retraining.settings import RetrainSettings
from product_classifier.retraining.trigger import Trigger
from product_classifier.store.probe import StoreProbe, probe_store
from tests.pipelines.retrain.test_local_launcher import wait_until
from tests.support.fakes import FakeStore
from tests.support.retraining_fakes import FakeClock, FakeLauncher, correct

READY = StoreProbe(lambda: None, deadline_s=1.0)
TOKEN = "t" * 40
RUN = "retrain-000001-0123456789ab"
INTERNAL, BEARER = {"X-Internal-Token": TOKEN}, {"Authorization": f"Bearer {TOKEN}"}


def make_loop(store: FakeStore, launcher: FakeLauncher) -> tuple[ReconcileLoop, CollectorRegistry]:
    settings = RetrainSettings.model_validate({"min_corrections": 1})
    trigger = Trigger(store, launcher, settings, launcher.clock)
    loop, registry = ReconcileLoop(trigger, poll_s=600, busy_poll_s=600), CollectorRegistry()
    metrics = TriggerMetrics(loop, trigger.feedback_index, RunStore(store), settings.min_corrections)
    loop.on_reconciled = metrics.refresh
    registry.register(metrics)
    return loop, registry


@pytest.mark.parametrize(
    ("path", "headers", "body", "status"),
    [
        ("/reconcile", {}, b"", 401),
        ("/reconcile", {"X-Internal-Token": "no"}, b"", 401),
        ("/reconcile", INTERNAL, b"", 202),
        ("/wake", {}, b"", 401),
        ("/wake", {"X-Internal-Token": "no"}, b"", 401),
        ("/wake", INTERNAL, b"", 202),
        ("/events", {"Authorization": "Bearer no"}, b"{}", 401),
        ("/events", BEARER, b"{}", 202),
        ("/events", BEARER, b"{", 400),
        ("/events", BEARER, b"[]", 400),
        ("/events", BEARER, b" " * 2_000_000, 413),
    ],
)
def test_a_request_needs_the_token_and_a_valid_body(
    path: str, headers: dict[str, str], body: bytes, status: int
) -> None:
    store = FakeStore()
    client = TestClient(create_app(*make_loop(store, FakeLauncher(store, FakeClock())), TOKEN, READY))

    assert status == client.post(path, headers=headers, content=body).status_code


def test_without_a_token_every_request_is_refused() -> None:
    store = FakeStore()
    client = TestClient(create_app(*make_loop(store, FakeLauncher(store, FakeClock())), "", READY))

    assert 401 == client.post("/reconcile", headers={"X-Internal-Token": ""}).status_code


@pytest.mark.parametrize("path", ["/reconcile", "/wake", "/events"])
def test_a_request_starts_a_reconciliation_at_once(path: str) -> None:
    """`/wake` is what feedback services of the version before call."""
    store = FakeStore()
    launcher = FakeLauncher(store, FakeClock())
    loop, registry = make_loop(store, launcher)
    client = TestClient(create_app(loop, registry, TOKEN, READY))
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        assert wait_until(lambda: loop.steps["waiting"] == 1)
        key = correct(store, 1).key
        event = {"EventName": "s3:ObjectCreated:Put", "Key": f"product-classifier/{key}", "Records": [
            {"eventName": "s3:ObjectCreated:Put", "s3": {"object": {"key": key.replace("=", "%3D")}}}
        ]}  # fmt: skip
        client.post(path, json=event, headers=INTERNAL | BEARER)

        assert wait_until(lambda: len(launcher.runs) == 1)
        assert 200 == client.get("/healthz").status_code
        assert 'product_classifier_reconciliations_total{step="started"} 1' in client.get("/metrics").text
    finally:
        loop.close()
        thread.join()


def test_the_trigger_is_unhealthy_when_the_last_reconciliation_is_too_old() -> None:
    store = FakeStore()
    loop, registry = make_loop(store, FakeLauncher(store, FakeClock()))
    loop.reconciled_at -= 121

    response = TestClient(create_app(loop, registry, TOKEN, READY)).get("/healthz")

    assert (503, True) == (response.status_code, "121 s ago" in response.json()["detail"])


def test_an_unavailable_launcher_is_counted_under_its_step() -> None:
    store = FakeStore()
    launcher = FakeLauncher(store, FakeClock())
    loop, registry = make_loop(store, launcher)
    correct(store, 1)
    loop.reconcile_once()
    launcher.away = True

    loop.reconcile_once()

    metrics = TestClient(create_app(loop, registry, TOKEN, READY)).get("/metrics").text
    assert 'product_classifier_reconciliations_total{step="launcher_away"} 1' in metrics


def test_the_trigger_is_ready_while_the_store_can_be_written() -> None:
    store = FakeStore()
    probe = StoreProbe(partial(probe_store, store, "retrain/probe"), deadline_s=1.0, interval_s=0.0)
    client = TestClient(create_app(*make_loop(store, FakeLauncher(store, FakeClock())), TOKEN, probe))

    ready = client.get("/readyz")
    store.away = True
    away = client.get("/readyz")

    assert (ready.status_code, ready.json(), store.objects) == (200, {"store": True}, {})
    assert (away.status_code, "retrain/probe" in away.text) == (503, False)


@pytest.mark.parametrize(
    ("target", "headers", "status", "body"),
    [
        (f"/runs/{RUN}/log", {}, 401, None),
        (f"/runs/{RUN}/log", INTERNAL, 200, b"one\ntwo\n"),
        (f"/runs/{RUN}/log?offset=4", INTERNAL, 200, b"two\n"),
        (f"/runs/{RUN}/log?offset=8", INTERNAL, 200, b""),
        (f"/runs/{RUN}/log?offset=-1", INTERNAL, 422, None),
        (f"/runs/{RUN}/log?offset={2**63}", INTERNAL, 422, None),
        ("/runs/retrain-000002-0123456789ab/log", INTERNAL, 404, None),
        ("/runs/..%2Fsecret/log", INTERNAL, 404, None),
        ("/runs/secret/log", INTERNAL, 422, None),
    ],
)
def test_a_log_of_a_run_is_read_from_an_offset(
    tmp_path: Path, target: str, headers: dict[str, str], status: int, body: bytes | None
) -> None:
    for name, text in {RUN: "one\ntwo\n", "secret": "secret"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "log").write_text(text)
    store = FakeStore()
    loop, registry = make_loop(store, FakeLauncher(store, FakeClock()))

    response = TestClient(create_app(loop, registry, TOKEN, READY, RunLogs(tmp_path))).get(target, headers=headers)

    assert status == response.status_code
    assert body is None or body == response.content
