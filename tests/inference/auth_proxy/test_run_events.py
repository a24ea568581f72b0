"""Events of a run pass from the store and the trigger through feedback service and gateway."""

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from inference.feedback_service.app import create_app as create_feedback_app
from inference.feedback_service.run_events import RunEvents
from inference.feedback_service.run_events_endpoint import add_run_events
from inference.feedback_service.run_log_client import RunLogClient
from inference.feedback_service.settings import Settings
from inference.run_events_api import RunEventData
from pipelines.retrain.app import create_app as create_trigger_app
from pipelines.retrain.run_logs import RunLogs
from product_classifier.retraining import (
    Failure,
    RunStore,
    StepStart,
    StepTiming,
    Verdict,
    write_failure,
    write_step_start,
    write_step_timing,
    write_verdict,
)
from tests.inference.auth_proxy.conftest import INTERNAL, Gateway, start
from tests.pipelines.retrain.test_app import READY, make_loop
from tests.pipelines.retrain.test_local_launcher import wait_until
from tests.support.fake_models import served
from tests.support.fakes import FakeStore
from tests.support.retraining_fakes import FakeClock, FakeLauncher

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)


@dataclass(frozen=True)
class Event:
    """One event, as a client parses it."""

    kind: str
    data: dict[str, object]
    id: str


@dataclass
class Run:
    """A run that a test writes, and the gateway that serves its events."""

    gateway: Gateway
    store: RunStore
    run_id: str
    log: Path

    def steps(self) -> None:
        """Write a step that succeeds and one that fails."""
        for number, (step, outcome) in enumerate({"prepare_catalogue": "ok", "train_text": "failed"}.items()):
            at = NOW + timedelta(minutes=number)
            write_step_start(self.store, StepStart(run_id=self.run_id, step=step, created=at))
            if outcome == "failed":
                failure = Failure(run_id=self.run_id, step=step, reason="no memory", created=at)
                write_failure(self.store, failure)
            timing = {"step": step, "outcome": outcome, "seconds": 2.5, "created": at + timedelta(seconds=2)}
            write_step_timing(self.store, StepTiming.model_validate({"run_id": self.run_id, **timing}))

    def finish(self) -> None:
        """Write the verdict and the result."""
        verdict = Verdict(run_id=self.run_id, promoted=False, reasons=("worse",), created=NOW)
        write_verdict(self.store, verdict)
        self.store.finish(1, self.run_id, "failed", "no memory", NOW)

    @contextlib.contextmanager
    def events(self, last: str | None = None) -> Iterator[Iterator[Event]]:
        """Connect as an administrator."""
        headers = {"Last-Event-ID": last} if last else {}
        with self.gateway.client("ada") as client, client.stream("GET", self.path, headers=headers) as response:
            assert "text/event-stream" in response.headers["content-type"]
            assert ("no-store", "no") == (response.headers["cache-control"], response.headers["x-accel-buffering"])
            yield parse(response)

    @property
    def path(self) -> str:
        return f"/retrain/{self.run_id}/events"


def parse(response: httpx.Response) -> Iterator[Event]:
    """Yield the events of a response, without comments."""
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "event" in fields:
            yield Event(fields["event"], json.loads(fields["data"]), fields["id"])
            fields = {}


@pytest.fixture
def run(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Run]:
    store = FakeStore()
    run_store = RunStore(store)
    claim = run_store.claim_run(1, (), cause="manual", requested_by="ada", now=NOW)
    log = tmp_path / "runs" / claim.run_id / "log"
    log.parent.mkdir(parents=True)
    loop, registry = make_loop(store, FakeLauncher(store, FakeClock()))
    trigger = create_trigger_app(loop, registry, INTERNAL, READY, RunLogs(tmp_path / "runs"))
    with served(trigger) as trigger_url:
        settings = Settings(internal_token=SecretStr(INTERNAL), trigger_url=trigger_url, state_dir=tmp_path)
        with served(create_feedback_app(store, None, settings)) as feedback_url:
            changes = getattr(request, "param", {})
            for gateway in start(tmp_path, {"feedback-service": feedback_url}, store, **changes):
                yield Run(gateway, run_store, claim.run_id, log)


def test_events_of_an_ended_run_are_steps_log_verdict_and_end(run: Run) -> None:
    run.steps()
    run.log.write_bytes("début\r\nno newline".encode())
    run.finish()

    with run.events() as events:
        found = list(events)

    steps = [
        (one.data["step"], one.data["state"], one.data["seconds"], one.data["reason"])
        for one in found
        if one.kind == "step"
    ]
    assert [
        ("prepare_catalogue", "running", None, None),
        ("prepare_catalogue", "succeeded", 2.5, None),
        ("train_text", "running", None, None),
        ("train_text", "failed", 2.5, "no memory"),
    ] == steps
    assert ["début", "no newline"] == [one.data["line"] for one in found if one.kind == "log"]
    assert ["step"] * 4 + ["log"] * 2 + ["verdict", "end"] == [one.kind for one in found]
    assert ("failed", "no memory") == (found[-1].data["state"], found[-1].data["reason"])
    for one in found:
        RunEventData.model_fields[one.kind].annotation.model_validate(one.data)  # type: ignore[union-attr]


def test_a_client_that_connects_again_receives_each_event_once(run: Run) -> None:
    run.steps()
    run.log.write_bytes(b"first\nsecond\n")
    run.finish()
    with run.events() as events:
        found = list(events)

    for number, event in enumerate(found[:-1]):
        with run.events(event.id) as events:
            assert found[number + 1 :] == list(events)
    with run.gateway.client("ada") as client:
        assert 204 == client.get(run.path, headers={"Last-Event-ID": found[-1].id}).status_code


def test_events_arrive_while_the_run_goes_on(run: Run) -> None:
    run.log.write_bytes(b"first\nsec")
    with run.events() as events:
        first = next(events)
        run.steps()
        steps = [next(events) for _ in range(4)]
        with run.log.open("ab") as log:
            log.write(b"ond\n")
        second = next(events)
        run.finish()
        rest = [one.kind for one in events]

    assert ("first", "second") == (first.data["line"], second.data["line"])
    assert ["step"] * 4 + ["verdict", "end"] == [one.kind for one in steps] + rest


def test_a_log_longer_than_one_part_arrives_whole(run: Run) -> None:
    lines = [f"{number} {'x' * (number % 300)}" for number in range(2_000)] + ["y" * 10_000]
    run.log.write_text("\n".join(lines))
    run.finish()

    with run.events() as events:
        found = [str(one.data["line"]) for one in events if one.kind == "log"]

    assert lines[:-1] == found[:2_000]
    assert lines[-1] == "".join(found[2_000:])


@pytest.mark.parametrize("run", [{"max_event_streams": 1}], indirect=True)
def test_a_client_that_leaves_frees_its_stream_and_one_above_the_limit_is_refused(run: Run) -> None:
    run.steps()

    def connect() -> int:
        with run.gateway.client("ada") as client, client.stream("GET", run.path) as response:
            return response.status_code

    with run.events() as events:
        next(events)
        refused = connect()

    assert 503 == refused
    assert wait_until(lambda: connect() == 200)


def test_an_id_that_no_event_has_and_an_unknown_run_are_refused(run: Run) -> None:
    with run.gateway.client("ada") as client:
        for last in ("x", "1", "-1-", "0-abc", "0-" + "abcd" * 257):
            response = client.get(run.path, headers={"Last-Event-ID": last})
            assert (422, "application/problem+json") == (response.status_code, response.headers["content-type"])
            assert "last-event-id" in response.json()["detail"].lower()
        assert 404 == client.get("/retrain/retrain-000001-ffffffffffff/events").status_code
    with run.gateway.client("remy") as client:
        assert 403 == client.get(run.path).status_code


def test_a_trigger_without_logs_leaves_out_the_lines(run: Run) -> None:
    run.finish()

    with run.events() as events:
        assert ["verdict", "end"] == [one.kind for one in events]


def test_heartbeats_are_sent_while_nothing_happens() -> None:
    store = RunStore(FakeStore())
    claim = store.claim_run(1, (), cause="manual", requested_by="ada", now=NOW)
    app = FastAPI()
    add_run_events(app, RunEvents(store, RunLogClient("", "")), poll_s=0.01, heartbeat_s=0.02)
    headers = {"X-Auth-User": "ada", "X-Auth-Role": "admin"}

    with served(app) as url, httpx.stream("GET", f"{url}/retrain/{claim.run_id}/events", headers=headers) as response:
        lines = response.iter_lines()
        beats = [next(lines) for _ in range(6)]
        store.finish(1, claim.run_id, "succeeded", "", NOW)
        assert "event: end" in list(lines)

    assert [": ping", ""] * 3 == beats


def test_a_stream_ends_when_the_gateway_stops(tmp_path: Path) -> None:
    store = FakeStore()
    claim = RunStore(store).claim_run(1, (), cause="manual", requested_by="ada", now=NOW)
    settings = Settings(internal_token=SecretStr(INTERNAL), state_dir=tmp_path)
    with served(create_feedback_app(store, None, settings)) as url, contextlib.ExitStack() as stack:
        gateways = start(tmp_path, {"feedback-service": url}, store, shutdown_s=30)
        gateway = next(gateways)
        client = stack.enter_context(gateway.client("ada"))
        response = stack.enter_context(client.stream("GET", f"/retrain/{claim.run_id}/events"))
        parts = response.iter_bytes()
        assert b": ping\n\n" == next(parts)
        stopping = threading.Thread(target=lambda: next(gateways, None))
        stopping.start()

        assert [] == list(parts)  # a complete response: httpx raises for one that is cut off

        stopping.join(timeout=10)
        assert not stopping.is_alive()
