"""Prometheus metrics of the retrain trigger: reconciliations, corrections, runs, verdicts and drift.

What is in the store is read by `refresh`, after a reconciliation, never by a scrape: the store may be slow.
"""

from collections.abc import Iterable
from time import time
from typing import get_args

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from pipelines.retrain.reconcile_loop import ReconcileLoop
from product_classifier.errors import IndexUnavailable, ProductClassifierError
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.metrics import definitions
from product_classifier.metrics.definitions import MetricDefinition
from product_classifier.metrics.instruments import counter_family, gauge_family
from product_classifier.monitoring.drift_windows import DriftWindow, drift_gauges, read_latest_window
from product_classifier.observability import get_logger
from product_classifier.retraining import LabelProgress, RunStore, RunView, StepTiming, list_runs
from product_classifier.retraining.run_records import RunState

RECENT_RUNS = 10
"""Runs among which the newest finished one, verdict and step timings are looked for."""
log = get_logger()


class TriggerMetrics(Collector):
    """State of the loop at each scrape, and of the runs at the last `refresh`."""

    def __init__(self, loop: ReconcileLoop, index: FeedbackIndex, run_store: RunStore, min_corrections: int) -> None:
        self._loop = loop
        self._index = index
        self._run_store = run_store
        self._progress = LabelProgress(index, run_store)
        self._min_corrections = min_corrections
        self._runs: list[RunView] = []
        self._steps: list[StepTiming] = []
        self._window: DriftWindow | None = None
        self._pending = False

    def refresh(self) -> None:
        """Read the runs and the newest drift report; an unavailable store leaves what was read before."""
        try:
            self._runs = list_runs(self._run_store, RECENT_RUNS)
            newest = self._runs[0] if self._runs else None
            self._pending = bool(newest and not newest.finished and self._run_store.pending_reason(newest.run_id))
            self._steps = next(filter(None, (self._run_store.step_timings(run.run_id) for run in self._runs)), [])
            self._window = read_latest_window(self._run_store.store)
        except (ProductClassifierError, OSError) as error:
            log.info("run_metrics_not_refreshed", reason=str(error))

    def collect(self) -> Iterable[Metric]:
        steps = counter_family(definitions.RECONCILIATIONS)
        for step, count in sorted(self._loop.steps.items()):
            steps.add_metric([step], count)
        yield steps
        yield _gauge(definitions.LAST_RECONCILIATION, time() - self._loop.age_s)
        yield _gauge(definitions.CORRECTIONS_NEEDED, self._min_corrections)
        yield from self._corrections()
        yield from self._run_metrics()
        if self._window is not None:
            yield from _drift(self._window)

    def _corrections(self) -> Iterable[Metric]:
        try:
            yield _gauge(definitions.CORRECTIONS_WAITING, self._progress.count())
            yield _gauge(definitions.CORRECTIONS_DAMAGED, self._index.damaged_count())
            yield _gauge(definitions.CORRECTIONS_UNREAD, self._index.unread_count())
        except IndexUnavailable:
            return

    def _run_metrics(self) -> Iterable[Metric]:
        if not self._runs:
            return
        newest = self._runs[0]
        states = gauge_family(definitions.RUN_STATE)
        for state in get_args(RunState):
            states.add_metric([state], float(state == newest.state))
        yield states
        yield _gauge(definitions.RUN_PENDING, float(self._pending))
        yield _gauge(definitions.RUN_CREATED, newest.created.timestamp())
        finished = [run.finished.timestamp() for run in self._runs if run.finished]
        if finished:
            yield _gauge(definitions.RUN_FINISHED, finished[0])
        verdict = next((run.verdict for run in self._runs if run.verdict), None)
        if verdict is not None:
            info = gauge_family(definitions.VERDICT_INFO)
            info.add_metric([verdict.release or "none", str(verdict.promoted).lower()], 1)
            yield info
            yield _gauge(definitions.VERDICT_CREATED, verdict.created.timestamp())
        durations = gauge_family(definitions.STEP_SECONDS)
        for timing in self._steps:
            durations.add_metric([timing.step, timing.outcome], timing.seconds)
        yield durations


def _drift(window: DriftWindow) -> Iterable[Metric]:
    gauges = drift_gauges(window)
    for definition, name in (
        (definitions.DRIFT_SCORE, "score"),
        (definitions.DRIFT_THRESHOLD, "threshold"),
        (definitions.DRIFT_DETECTED, "drifted"),
    ):
        family = gauge_family(definition)
        for measure, value in gauges[name].items():
            family.add_metric([measure], value)
        yield family
    yield _gauge(definitions.DRIFT_WINDOW_DRIFTED, gauges["window"]["drifted"])
    yield _gauge(definitions.DRIFT_WINDOW_PRODUCTS, gauges["window"]["products"])
    yield _gauge(definitions.DRIFT_WINDOW_CREATED, gauges["window"]["created"])


def _gauge(definition: MetricDefinition, value: float) -> Metric:
    family = gauge_family(definition)
    family.add_metric([], value)
    return family
