"""Unit tests of the alerts by promtool, from a table: firing for the fault, not otherwise."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from operations.monitoring.files import read_rules
from tests.support.prometheus import promtool

P = "product_classifier_"
HTTP = P + "http_request_duration_seconds"
Series = dict[str, str]
"""Values by series, in the notation of promtool: `a+bxn` is a, a+b … n times."""


@dataclass(frozen=True)
class Case:
    """Series with which an alert fires at a time, and others with which it does not."""

    fires: Series
    quiet: Series
    at: str = "20m"
    interval: str = "1m"


def requests(ok: str, failed: str) -> Series:
    return {
        f'{HTTP}_count{{job="auth-proxy",route="/predict",status="200"}}': ok,
        f'{HTTP}_count{{job="auth-proxy",route="/predict",status="503"}}': failed,
    }


def durations(fast: str, every: str) -> Series:
    return {
        f'{HTTP}_bucket{{job="auth-proxy",route="/predict",le="0.25"}}': fast,
        f'{HTTP}_count{{job="auth-proxy",route="/predict",status="200"}}': every,
    }


def gauge(name: str, fires: str, quiet: str, at: str = "20m") -> Case:
    return Case({P + name: fires}, {P + name: quiet}, at)


def targets(missing: str = "") -> Series:
    jobs = (
        "auth-proxy", "feedback-service", "retrain-trigger", "text-predictor", "image-predictor", "fusion-transformer",
    )  # fmt: skip
    return {f'up{{job="{job}"}}': "1x100" for job in jobs if job != missing}


DEPLOYMENT = (
    'kube_deployment_status_condition{deployment="fusion-transformer-transformer",condition="Available",status="true"}'
)
CERTIFICATE = 'certmanager_certificate_expiration_timestamp_seconds{name="tls",namespace="kserve"}'
DAY = 86_400
CASES = {
    "ErrorBudgetBurnsFast": Case(
        requests("0+92x120", "0+8x120"), requests("0+999x120", "0+1x120"), "70m"
    ),
    "ErrorBudgetBurnsSlowly": Case(
        requests("0+980x500", "0+20x500"), requests("0+999x500", "0+1x500"), "26h", "10m"
    ),
    "LatencyBudgetBurnsFast": Case(
        durations("0+80x120", "0+100x120"), durations("0+995x120", "0+1000x120"), "70m"
    ),
    "LatencyBudgetBurnsSlowly": Case(
        durations("0+960x500", "0+1000x500"), durations("0+995x500", "0+1000x500"), "26h", "10m"
    ),
    "TargetDown": Case(
        targets("auth-proxy") | {'up{job="auth-proxy"}': "0x60"},
        targets("auth-proxy") | {'up{job="auth-proxy"}': "1x18 0 1x60"},
    ),
    "TargetMissing": Case(targets("auth-proxy"), targets()),
    "InferenceServiceNotReady": Case({DEPLOYMENT: "0x60"}, {DEPLOYMENT: "0x2 1x60"}),
    "LogLinesDropped": gauge('log_lines_dropped_total{reason="full"}', "0x10 5x20", "5x40"),
    "VolumeFilling": Case(
        {P + "volume_free_bytes": "5x60", P + "volume_size_bytes": "100x60"},
        {P + "volume_free_bytes": "40x60", P + "volume_size_bytes": "100x60"},
    ),
    "CertificateExpiring": Case({CERTIFICATE: f"{6 * DAY}x200"}, {CERTIFICATE: f"{20 * DAY}x200"}, "70m"),
    "ObjectStoreUnavailable": gauge("store_available", "0x60", "0x2 1x60"),
    "PredictionRecordsLost": gauge('prediction_records_total{outcome="lost"}', "0x10 1x20", "3x40"),
    "JournalDamaged": gauge("journal_damaged_ranges", "1x40", "0x40"),
    "CorrectionsDamaged": gauge("corrections_damaged", "2x40", "0x40"),
    "DegradedPredictions": Case(
        {f'{P}predictions_total{{degraded="{flag}"}}': f"0+{rate}x60" for flag, rate in (("true", 10), ("false", 90))},
        {f'{P}predictions_total{{degraded="{flag}"}}': f"0+{rate}x60" for flag, rate in (("true", 1), ("false", 99))},
    ),
    "ReleaseRefused": gauge('model_release_refused{model_name="text-predictor"}', "1x40", "0x40"),
    "ReleaseMissing": gauge('model_other_releases_refused{model_name="text-predictor"}', "1x40", "0x40"),
    "ReleaseStale": Case(
        {P + 'model_release_created_timestamp_seconds{model_name="text-predictor"}': f"-{91 * DAY}x40"},
        {P + 'model_release_created_timestamp_seconds{model_name="text-predictor"}': f"-{89 * DAY}x40"},
    ),
    "DriftDetected": gauge("drift_window_drifted", "1x40", "0x40"),
    "DriftNotMeasured": gauge("drift_window_created_timestamp_seconds", "0x500", "0+60x500", "7h"),
    "TriggerStuck": gauge("last_reconciliation_timestamp_seconds", "0x40", "0+60x40"),
    "ReconciliationFailing": gauge('reconciliations_total{step="error"}', "0+1x40", "0x10 3x40", "35m"),
    "LauncherUnavailable": gauge('reconciliations_total{step="launcher_away"}', "0+1x40", "0x10 3x40", "35m"),
    "RunPending": gauge("run_pending", "1x40", "1x8 0x40"),
    "RunOverdue": Case(
        {P + 'run_state{state="running"}': "1x500", P + "run_created_timestamp_seconds": "0x500"},
        {P + 'run_state{state="succeeded"}': "1x500", P + 'run_state{state="running"}': "0x500",
         P + "run_created_timestamp_seconds": "0x500"},
        "7h",
        "10m",
    ),
}  # fmt: skip


def test_every_alert_has_a_case() -> None:
    alerts = {rule["alert"] for group in read_rules() for rule in group["rules"] if "alert" in rule}

    assert alerts == set(CASES)


@pytest.mark.parametrize("alert", CASES)
def test_an_alert_fires_for_its_fault_and_not_otherwise(alert: str, tmp_path: Path) -> None:
    case = CASES[alert]
    firing = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})'
    tests = [
        {
            "name": name,
            "interval": case.interval,
            "input_series": [{"series": one, "values": values} for one, values in series.items()],
            "promql_expr_test": [
                {
                    "expr": f"({firing} >= bool 1) or vector(0)",
                    "eval_time": case.at,
                    "exp_samples": [{"labels": "{}", "value": expected}],
                }
            ],
        }
        for name, series, expected in (("fires", case.fires, 1), ("quiet", case.quiet, 0))
    ]
    group = next(group for group in read_rules() if any(rule.get("alert") == alert for rule in group["rules"]))
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [group]}), encoding="utf-8")
    content = {"rule_files": ["rules.yaml"], "evaluation_interval": case.interval, "tests": tests}
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")

    assert "SUCCESS" in promtool("test", "rules", tmp_path / "test.yaml")
