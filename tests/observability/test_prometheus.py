"""A real Prometheus scrapes the running product: names, dashboards, alerts and their faults.

Durations of the rules are divided by `FACTOR`. Faults are injected into real processes: they are stopped (SIGSTOP) and
continued, the store is replaced by a file, a report is written, a target is removed.
"""

import base64
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from operations.monitoring.files import FOLDER, read_rules
from product_classifier.metrics.definitions import DEFINITIONS
from product_classifier.monitoring.drift_windows import DriftMeasure, DriftVerdict, DriftWindow, write_window
from product_classifier.retraining import Claim, RunStore, StepTiming, Verdict, write_step_timing, write_verdict
from product_classifier.store import ObjectStore, open_store
from tests.support.prometheus import metrics_in, program, shortened
from tests.support.running_product import RunningProduct, running_product
from tests.support.servers import free_port
from tests.support.tiny_release import photo

pytestmark = pytest.mark.slow
FACTOR = 60
FIRES_S, RESOLVES_S = 60, 90
NOW = datetime.now(UTC)
ALERTS = {rule["alert"] for group in read_rules() for rule in group["rules"] if "alert" in rule}
UNIT_TESTS_ONLY = {
    "ErrorBudgetBurnsSlowly": "needs a day of requests, also with shortened windows 24 minutes",
    "LatencyBudgetBurnsFast": "a test that depends on latency is not reproducible on a busy machine",
    "LatencyBudgetBurnsSlowly": "as above",
    "InferenceServiceNotReady": "kube-state-metrics, in a cluster only",
    "CertificateExpiring": "cert-manager, in a cluster only",
    "VolumeFilling": "would fill a disk of the machine",
    "LogLinesDropped": "resolves after the window of 10 minutes only",
    "PredictionRecordsLost": "needs a full disk beside an unavailable store",
    "JournalDamaged": "resolves by a restart only",
    "CorrectionsDamaged": "resolves by a new index only",
    "ReleaseRefused": "tests/inference/model_server/test_release_switch.py shows the metric",
    "ReleaseMissing": "tests/inference/model_server/test_release_switch.py shows the metric",
    "ReleaseStale": "needs a release of 90 days",
    "DriftNotMeasured": "needs a window of 6 hours",
    "TriggerStuck": "needs a call of the store that hangs for minutes",
    "ReconciliationFailing": "needs 10 failures; resolves after 30 minutes only",
    "LauncherUnavailable": "needs Kubeflow Pipelines",
    "RunPending": "tests/e2e/test_pending_runs.py shows the state in a cluster",
    "RunOverdue": "needs a run of 6 hours",
}  # fmt: skip
"""Alerts that no local run fires and resolves, with the reason; `test_alert_rules.py` tests them all."""


class Prometheus:
    """A Prometheus with shortened rules; targets can be removed."""

    def __init__(self, folder: Path, targets: dict[str, str]) -> None:
        self._folder = folder
        self._targets = targets
        groups = [{**group, "rules": [_shortened(rule) for rule in group["rules"]]} for group in read_rules()]
        (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
        self.set_targets()
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [
                {"job_name": job, "file_sd_configs": [{"files": [f"{job}.json"], "refresh_interval": "1s"}]}
                for job in targets
            ],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        port = free_port()
        command = [
            program("prometheus"),
            f"--config.file={folder}/prometheus.yml",
            f"--storage.tsdb.path={folder}/data",
        ]
        with (folder / "prometheus.log").open("wb") as log:
            self.process = subprocess.Popen(
                [*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log, cwd=folder
            )
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=10)

    def set_targets(self, without: str = "") -> None:
        for job, url in self._targets.items():
            host = httpx.URL(url).netloc.decode()
            found = [] if job == without else [{"targets": [host]}]
            (self._folder / f"{job}.json").write_text(json.dumps(found), encoding="utf-8")

    def query(self, expression: str) -> list[dict[str, object]]:
        response = self._client.get("/query", params={"query": expression})
        response.raise_for_status()
        found: list[dict[str, object]] = response.json()["data"]["result"]
        return found

    def is_firing(self, alert: str) -> bool:
        return bool(self.query(f'ALERTS{{alertname="{alert}",alertstate="firing"}}'))

    def wait_until(self, what: Callable[[], bool], seconds: float, message: str) -> None:
        until = time.monotonic() + seconds
        while True:
            try:
                if what():
                    return
            except httpx.HTTPError:
                pass  # it is starting
            assert time.monotonic() < until, message
            time.sleep(0.5)

    def close(self) -> None:
        self._client.close()
        self.process.kill()
        self.process.wait()


def _shortened(rule: dict[str, str]) -> dict[str, str]:
    """Return a rule with the durations of its expression and `for` divided by `FACTOR`."""
    return rule | {key: shortened(rule[key], FACTOR) for key in ("expr", "for") if key in rule}


class Traffic:
    """Sends products with text and photo until it is closed."""

    def __init__(self, product: RunningProduct) -> None:
        self._product = product
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(3)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        body = {"designation": "Piscine", "image": base64.b64encode(photo()).decode()}
        while not self._ended.wait(0.2):
            try:
                self._product.client.post("/predict", json=body)
            except httpx.HTTPError:
                continue

    def close(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


def write_drift(store: ObjectStore, verdict: DriftVerdict) -> None:
    measure = DriftMeasure(
        name="language", statistic="total_variation", value=0.4, threshold=0.1, drifted=verdict == "drift"
    )
    window = DriftWindow(
        window_id="d-20261128T000000-00000000", created=NOW, since=NOW, until=NOW, release="r-1", products=500,
        sampled=500, verdict=verdict, inputs=(measure,),
    )  # fmt: skip
    write_window(store, window)


def write_run(store: ObjectStore) -> None:
    """Write a finished run with a verdict and the time of a step."""
    run_store, run_id = RunStore(store), "retrain-000001-0123456789ab"
    run_store.write_claim(
        Claim(
            generation=1, run_id=run_id, cause="manual", requested_by="ada", snapshot="0" * 64, corrections=1,
            created=NOW,
        )
    )  # fmt: skip
    write_step_timing(run_store, StepTiming(run_id=run_id, step="train_text", outcome="ok", seconds=2.0, created=NOW))
    write_verdict(run_store, Verdict(run_id=run_id, promoted=False, release="r-2", reasons=("no gain",), created=NOW))
    run_store.finish(1, run_id, "failed", "no gain", NOW)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningProduct, Prometheus, ObjectStore]]:
    """The product with requests, a correction, a run and a drift report, and a Prometheus that scrapes it."""
    program("prometheus")
    folder = tmp_path_factory.mktemp("watched")
    with running_product(folder, {"AUTH_PROXY_BACKEND_TIMEOUT_S": "3", "FUSION_DEADLINE_S": "0.3"}) as product:
        store = open_store(f"file://{folder}/store/product-classifier")
        write_run(store)
        write_drift(store, "quiet")
        body = {"product": {"designation": "Livre"}, "code": 2583}
        assert 201 == product.client.post("/feedback", json=body).status_code
        (folder / "prometheus").mkdir()
        prometheus = Prometheus(folder / "prometheus", product.metrics)
        traffic = Traffic(product)
        try:
            prometheus.wait_until(lambda: len(prometheus.query("up == 1")) == 6, 60, "not all targets are up")
            yield product, prometheus, store
        finally:
            traffic.close()
            prometheus.close()


Watched = tuple[RunningProduct, Prometheus, ObjectStore]


def panel_queries() -> list[str]:
    panels = [
        panel
        for path in sorted((FOLDER / "dashboards").glob("*.json"))
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]
    ]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def test_every_metric_of_rules_and_dashboards_is_scraped(watched: Watched) -> None:
    product, _, _ = watched
    scraped = {
        family.name
        for url in product.metrics.values()
        for family in text_string_to_metric_families(httpx.get(url).text)
    }
    expressions = [rule["expr"] for group in read_rules() for rule in group["rules"]] + panel_queries()
    named = {name for expression in expressions for name in metrics_in(expression) if name.startswith("product_")}

    assert set() == {name for name in named if name.removesuffix("_total") not in scraped}


def test_the_scraped_metrics_are_the_defined_ones(watched: Watched) -> None:
    product, _, _ = watched
    scraped = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for url in product.metrics.values()
        for family in text_string_to_metric_families(httpx.get(url).text)
        if family.name.startswith("product_classifier_")
    }

    assert scraped <= set(DEFINITIONS)
    assert not any(name.endswith("_created") for name in scraped)


def test_every_query_of_the_dashboards_is_answered_with_data(watched: Watched) -> None:
    _, prometheus, _ = watched
    queries = [query.replace("$__rate_interval", "15s") for query in panel_queries()]
    without = set(queries)

    def all_answered() -> bool:
        without.difference_update([query for query in without if prometheus.query(query)])
        return not without

    try:
        prometheus.wait_until(all_answered, 60, "")
    except AssertionError:
        assert set() == without


@contextmanager
def stopped(product: RunningProduct, service: str) -> Iterator[None]:
    product.process(service).send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        product.process(service).send_signal(signal.SIGCONT)


@contextmanager
def store_replaced(folder: Path) -> Iterator[None]:
    """Put a file in the place of the folder of the store."""
    folder.rename(folder.with_suffix(".away"))
    folder.touch()
    try:
        yield
    finally:
        folder.unlink()
        folder.with_suffix(".away").rename(folder)


@contextmanager
def drifted(store: ObjectStore) -> Iterator[None]:
    write_drift(store, "drift")
    yield
    write_drift(store, "quiet")


@contextmanager
def target_removed(prometheus: Prometheus, job: str) -> Iterator[None]:
    prometheus.set_targets(without=job)
    yield
    prometheus.set_targets()


FAULTS = {
    "gateway stopped": ("TargetDown",),
    "gateway not a target": ("TargetMissing",),
    "image predictor stopped": ("DegradedPredictions",),
    "fusion stopped": ("ErrorBudgetBurnsFast",),
    "store replaced": ("ObjectStoreUnavailable",),
    "drift report": ("DriftDetected",),
}


def test_every_alert_is_fired_here_or_named_with_the_reason_why_not() -> None:
    fired = {alert for alerts in FAULTS.values() for alert in alerts}

    assert ALERTS == fired | set(UNIT_TESTS_ONLY)
    assert not fired & set(UNIT_TESTS_ONLY)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_fires_its_alert_which_resolves_afterwards(fault: str, watched: Watched) -> None:
    product, prometheus, store = watched
    injected = {
        "gateway stopped": lambda: stopped(product, "auth-proxy"),
        "gateway not a target": lambda: target_removed(prometheus, "auth-proxy"),
        "image predictor stopped": lambda: stopped(product, "image-predictor"),
        "fusion stopped": lambda: stopped(product, "fusion-transformer"),
        "store replaced": lambda: store_replaced(product.state.parent / "store/product-classifier"),
        "drift report": lambda: drifted(store),
    }[fault]
    for alert in FAULTS[fault]:
        assert not prometheus.is_firing(alert)

    with injected():
        for alert in FAULTS[fault]:
            prometheus.wait_until(lambda alert=alert: prometheus.is_firing(alert), FIRES_S, f"{alert} did not fire")
    for alert in FAULTS[fault]:
        prometheus.wait_until(
            lambda alert=alert: not prometheus.is_firing(alert), RESOLVES_S, f"{alert} did not resolve"
        )
