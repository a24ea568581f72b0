"""The names of the metrics, by the conventions of https://prometheus.io/docs/practices/naming/."""

import re

import pytest

from product_classifier.metrics.definitions import DEFINITIONS, PREFIX, MetricDefinition

UNITS = ("_seconds", "_bytes", "_ratio", "_info", "_total")
NOT_BASE_UNITS = r"_(ms|milliseconds|minutes|hours|kib|mib|kb|mb|percent)(_|$)"
RESERVED = {"job", "instance", "le", "quantile", "pod", "namespace"}


@pytest.mark.parametrize("metric", DEFINITIONS.values(), ids=DEFINITIONS)
def test_a_name_has_the_prefix_and_its_unit(metric: MetricDefinition) -> None:
    name = metric.name.removeprefix(PREFIX)

    assert metric.name != name
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name)
    assert not re.search(NOT_BASE_UNITS, name)
    assert not name.endswith(("_count", "_sum", "_bucket", "_created"))
    assert (metric.kind == "counter") == name.endswith("_total")
    assert ("duration" in name or "timestamp" in name) == name.endswith(("_duration_seconds", "_timestamp_seconds"))
    assert (metric.kind == "histogram") == bool(metric.buckets)


@pytest.mark.parametrize("metric", DEFINITIONS.values(), ids=DEFINITIONS)
def test_labels_do_not_repeat_the_name_or_what_prometheus_adds(metric: MetricDefinition) -> None:
    assert not RESERVED & set(metric.labels)
    assert len(set(metric.labels)) == len(metric.labels)
    assert metric.description.endswith(".")
    assert metric.services
