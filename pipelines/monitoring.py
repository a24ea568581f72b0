"""The monitoring pipeline, from stored predictions to a report and what it leads to."""

from pathlib import Path
from typing import NamedTuple

from kfp import dsl

from components.act_on_drift.component import act_on_drift
from components.compact_log.component import compact_log
from components.measure_drift.component import measure_drift
from pipelines.compile import compile_pipeline
from pipelines.task_configuration import SMALL, configure_task

MONITORING_PACKAGE = Path("build/monitoring.yaml")
MONITORING = "product-classifier-monitoring"
"""Name of the pipeline on Kubeflow Pipelines."""


class MonitoringOutputs(NamedTuple):
    """Outputs of a run."""

    window_id: str
    actions: str


def compile_monitoring(package: Path = MONITORING_PACKAGE) -> Path:
    """Compile the pipeline to `package` and return that path."""
    return compile_pipeline(monitoring, package)


@dsl.pipeline(name="monitoring", description="Compare predictions with what their release was trained on.")
def monitoring(
    store: str,
    tracking_uri: str = "",
    experiment: str = "product-classifier",
    since: str = "",
    release: str = "",
    policy: str = "label",
    webhook: str = "",
    private_webhook: bool = False,
    min_corrections: int = 10,
    queue_limit: int = 100,
    delete_after_days: int = -1,
    retention_days: int = -1,
) -> MonitoringOutputs:
    compacted = compact_log(store=store, delete_after_days=delete_after_days, retention_days=retention_days)
    measured = measure_drift(
        store=store,
        since=since,
        release=release,
        tracking_uri=tracking_uri,
        experiment=experiment,
        compacted=compacted.output,
    )
    acted = act_on_drift(
        store=store,
        window_id=measured.outputs["Output"],
        policy=policy,
        webhook=webhook,
        private_webhook=private_webhook,
        min_corrections=min_corrections,
        queue_limit=queue_limit,
    )
    for task in (compacted, measured, acted):
        configure_task(task, SMALL)
    return MonitoringOutputs(window_id=measured.outputs["Output"], actions=acted.output)
