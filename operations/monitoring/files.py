"""Contents of the generated files of the component `monitoring`."""

import json
from pathlib import Path
from typing import Any

import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from operations.monitoring.dashboards import DASHBOARDS

FOLDER = Path(__file__).parents[2] / "manifests" / "components" / "monitoring"
RULES = FOLDER / "product-classifier.rules.yaml"
"""The source of the rules, which a plain Prometheus reads."""
HEADER = """\
# Generated from product-classifier.rules.yaml by `python -m operations.monitoring`, for the Prometheus operator.
"""


def read_rules() -> list[dict[str, Any]]:
    """Return the groups of rules."""
    groups: list[dict[str, Any]] = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return groups


def generated() -> dict[str, str]:
    """Return the content of each generated file by its name in the folder."""
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "product-classifier", "namespace": "product-classifier"},
        "spec": {"groups": read_rules()},
    }
    dashboards = {
        f"dashboards/{name}.json": json.dumps(make().build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"
        for name, make in DASHBOARDS.items()
    }
    return {
        "prometheus-rule.yaml": HEADER + yaml.safe_dump(rule, sort_keys=False, width=1000, allow_unicode=True),
        **dashboards,
    }
