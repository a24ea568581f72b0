"""Rules, dashboards and runbooks: generated files, names of metrics, and what a rule must have."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from operations.monitoring.files import FOLDER, RULES, generated, read_rules
from product_classifier.metrics.definitions import DEFINITIONS
from tests.support.prometheus import metrics_in, promtool

RUNBOOKS = Path(__file__).parents[3] / "docs" / "runbooks"
GROUPS = read_rules()
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule
}
DASHBOARDS = sorted((FOLDER / "dashboards").glob("*.json"))
OF_OTHERS = re.compile(r"up|process_\w+|kube_deployment_status_condition|certmanager_certificate_\w+")
"""Metrics of Prometheus, of every process, of kube-state-metrics and of cert-manager."""


def test_the_generated_files_are_up_to_date() -> None:
    """Run `python -m operations.monitoring` when this fails."""
    for name, content in generated().items():
        assert content == (FOLDER / name).read_text(encoding="utf-8"), name


def test_there_is_a_dashboard_per_file() -> None:
    assert {"service.json", "models.json", "loop.json", "resources.json"} == {path.name for path in DASHBOARDS}
    assert len({json.loads(path.read_text())["uid"] for path in DASHBOARDS}) == len(DASHBOARDS)


def panel_queries(path: Path) -> list[str]:
    panels = json.loads(path.read_text(encoding="utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def test_every_metric_of_rules_and_dashboards_is_defined() -> None:
    expressions = [rule["expr"] for group in GROUPS for rule in group["rules"]]
    expressions += [query for path in DASHBOARDS for query in panel_queries(path)]
    named = {name for expression in expressions for name in metrics_in(expression)}

    assert named
    assert set() == {name for name in named if name not in DEFINITIONS and not OF_OTHERS.fullmatch(name)}


def test_every_defined_metric_is_shown_or_alerts() -> None:
    expressions = [rule["expr"] for group in GROUPS for rule in group["rules"]]
    expressions += [query for path in DASHBOARDS for query in panel_queries(path)]
    named = {name for expression in expressions for name in metrics_in(expression)}
    only_for_queries = {
        "build_info", "logins_total", "model_release_info", "degraded_responses_total", "shadow_products_total",
        "release_response_duration_seconds", "journal_records", "journal_replayed_total", "corrections_unread",
        "correction_index_complete", "run_finished_timestamp_seconds", "drift_detected",
    }  # fmt: skip

    assert only_for_queries == {name.removeprefix("product_classifier_") for name in DEFINITIONS if name not in named}


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_a_summary_a_severity_and_a_runbook(alert: str) -> None:
    rule = ALERTS[alert]
    page = (RUNBOOKS / f"{alert}.md").read_text(encoding="utf-8")

    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook_url"].endswith(f"/docs/runbooks/{alert}.md")
    assert ["What it means", "What to check", "What to do"] == re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert f"| `{alert}` | {rule['labels']['severity']} | [{alert}.md]({alert}.md) |" in (
        RUNBOOKS / "README.md"
    ).read_text(encoding="utf-8")


def test_every_runbook_is_of_an_alert() -> None:
    assert {*ALERTS, "README"} == {path.stem for path in RUNBOOKS.glob("*.md")}


def test_runbooks_name_metrics_that_exist() -> None:
    for path in RUNBOOKS.glob("*.md"):
        for name in metrics_in(path.read_text(encoding="utf-8").replace('"', "'")):
            assert name in DEFINITIONS or OF_OTHERS.fullmatch(name) or name == "up", f"{path.name}: {name}"


def test_promtool_accepts_the_rules() -> None:
    assert "SUCCESS" in promtool("check", "rules", RULES)
