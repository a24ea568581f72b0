"""Metrics of the trigger: runs, verdicts, steps and drift, as they are in the store."""

from datetime import UTC, datetime

from prometheus_client import CollectorRegistry

from components.shared import failures
from pipelines.retrain.reconcile_loop import ReconcileLoop
from pipelines.retrain.trigger_metrics import TriggerMetrics
from product_classifier.monitoring.drift_windows import DriftMeasure, DriftWindow, write_window
from product_classifier.retraining import RunStore, StepTiming, Verdict, write_step_timing, write_verdict
from product_classifier.retraining.settings import RetrainSettings
from product_classifier.retraining.trigger import Trigger
from tests.support.fakes import FakeStore
from tests.support.retraining_fakes import FakeClock, FakeLauncher, correct

NOW = datetime(2026, 11, 28, tzinfo=UTC)
P = "product_classifier_"


class Metrics:
    """A trigger that reconciles on request, and its metrics."""

    def __init__(self) -> None:
        self.store = FakeStore()
        self.launcher = FakeLauncher(self.store, FakeClock())
        settings = RetrainSettings.model_validate({"min_corrections": 2})
        trigger = Trigger(self.store, self.launcher, settings, self.launcher.clock)
        self.loop = ReconcileLoop(trigger, poll_s=1, busy_poll_s=1)
        self._collector = TriggerMetrics(self.loop, trigger.feedback_index, RunStore(self.store), 2)
        self._registry = CollectorRegistry()
        self._registry.register(self._collector)

    def value(self, name: str, **labels: str) -> float | None:
        self._collector.refresh()
        return self._registry.get_sample_value(P + name, labels)


def test_corrections_and_the_state_of_the_newest_run() -> None:
    metrics = Metrics()
    correct(metrics.store, 1)
    metrics.loop.reconcile_once()
    assert (1, 2, None) == (
        metrics.value("corrections_waiting"), metrics.value("corrections_needed"), metrics.value("run_pending")
    )  # fmt: skip

    correct(metrics.store, 2)
    metrics.loop.reconcile_while_due()

    states = {state: metrics.value("run_state", state=state) for state in ("waiting", "running", "succeeded", "failed")}
    assert {"waiting": 1, "running": 0, "succeeded": 0, "failed": 0} == states
    assert 0 == metrics.value("run_pending")
    RunStore(metrics.store).report_pending(next(iter(metrics.launcher.runs)).run_id, "the image is missing", NOW)
    assert 1 == metrics.value("run_pending")


def test_the_newest_verdict_and_the_steps_of_its_run() -> None:
    metrics = Metrics()
    for number in (1, 2):
        correct(metrics.store, number)
    metrics.loop.reconcile_while_due()
    run = next(iter(metrics.launcher.runs)).run_id
    run_store = RunStore(metrics.store)
    write_verdict(run_store, Verdict(run_id=run, promoted=False, release="r-9", reasons=("no gain",), created=NOW))
    for outcome, seconds in (("failed", 1.0), ("ok", 2.5)):
        write_step_timing(
            run_store, StepTiming(run_id=run, step="train_text", outcome=outcome, seconds=seconds, created=NOW)
        )

    assert 1 == metrics.value("last_verdict_info", release="r-9", promoted="false")
    assert NOW.timestamp() == metrics.value("last_verdict_timestamp_seconds")
    assert 2.5 == metrics.value("training_step_duration_seconds", step="train_text", outcome="ok")
    assert 1.0 == metrics.value("training_step_duration_seconds", step="train_text", outcome="failed")


def test_drift_is_that_of_the_newest_report() -> None:
    metrics = Metrics()
    assert metrics.value("drift_window_drifted") is None

    measure = DriftMeasure(name="language", statistic="total_variation", value=0.4, threshold=0.1, drifted=True)
    window = DriftWindow(
        window_id="d-20261128T000000-00000000", created=NOW, since=NOW, until=NOW, release="r-1", products=500,
        sampled=500, verdict="drift", inputs=(measure,),
    )  # fmt: skip
    write_window(metrics.store, window)

    assert 0.4 == metrics.value("drift_score", measure="language")
    assert 0.1 == metrics.value("drift_threshold", measure="language")
    assert 1 == metrics.value("drift_detected", measure="language")
    assert (1, 500) == (metrics.value("drift_window_drifted"), metrics.value("drift_window_products"))


def test_an_unavailable_store_leaves_the_last_values() -> None:
    metrics = Metrics()
    correct(metrics.store, 1)
    correct(metrics.store, 2)
    metrics.loop.reconcile_while_due()
    before = metrics.value("run_created_timestamp_seconds")

    metrics.store.away = True

    assert before == metrics.value("run_created_timestamp_seconds") is not None


def test_a_step_outside_a_run_writes_no_timing(tmp_path: object) -> None:
    store = f"file://{tmp_path}"

    with failures.record_step("evaluate", store):
        pass

    assert [] == RunStore(failures.open_store(store)).step_timings("retrain-000001-000000000000")
