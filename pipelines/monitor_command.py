"""`make monitor`: the monitoring pipeline on this machine, once or periodically."""

import subprocess
import sys
import time
from contextlib import nullcontext
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from pipelines.local.runner import run_pipeline
from pipelines.local.step_host import AVAILABLE, StepHost
from pipelines.monitoring import compile_monitoring
from pipelines.settings import MonitorSettings, PipelineSettings
from product_classifier.monitoring.drift_windows import DriftMeasure, DriftWindow, read_window_report
from product_classifier.store import open_store

PRELOADED = ("components.compact_log.step", "components.measure_drift.step", "components.act_on_drift.step")
LOWEST_PRIORITY = ("nice", "-n", "19")


def monitoring_arguments(settings: PipelineSettings, monitor: MonitorSettings) -> dict[str, Any]:
    """Return the arguments of the monitoring pipeline."""
    return {
        "store": settings.store,
        "tracking_uri": settings.tracking,
        "experiment": settings.experiment,
        "since": monitor.since,
        "release": monitor.release,
        "policy": monitor.policy,
        "webhook": monitor.webhook_url,
        "private_webhook": monitor.private_webhook,
        "min_corrections": monitor.min_corrections,
        "queue_limit": monitor.queue_limit,
        "delete_after_days": monitor.delete_after_days,
        "retention_days": monitor.retention_days,
    }


def monitor_once(settings: PipelineSettings, monitor: MonitorSettings, console: Console) -> DriftWindow:
    """Run the pipeline on one window, print its table, and return the report.

    Raises:
        StepFailed: If a step fails; its message names the reason.
    """
    open_store(settings.store, create=True)
    package = compile_monitoring(settings.state / "monitoring.yaml")
    with StepHost(PRELOADED) if AVAILABLE else nullcontext() as host:
        result = run_pipeline(
            package, monitoring_arguments(settings, monitor), settings.state / "monitoring", console, host
        )
    window = read_window_report(open_store(settings.store), str(result.outputs["window_id"]))
    print_window(window, console)
    console.print(f"page      {settings.store}/{window.page}", highlight=False)
    return window


def monitor_periodically(every_s: float) -> None:
    """Run `python -m pipelines monitor` periodically, in processes of the lowest priority."""
    while True:
        time.sleep(every_s)
        subprocess.run([*LOWEST_PRIORITY, sys.executable, "-m", "pipelines", "monitor"], check=False)  # noqa: S603


def print_window(window: DriftWindow, console: Console) -> None:
    """Print the measures of a window and the verdict."""
    names = ("measure", "statistic", "value", "threshold", "reference", "window", "products", "")
    columns = [
        Column(name, no_wrap=True, justify="left" if name in {"measure", "statistic", ""} else "right")
        for name in names
    ]
    table = Table(*columns, box=None, padding=(0, 1, 0, 0))
    for one in window.measures:
        table.add_row(
            one.name.replace("_", " "),
            one.statistic.replace("_", " "),
            _format_number(one.value),
            _format_number(one.threshold),
            _format_number(one.reference),
            _format_number(one.window),
            str(one.products),
            _mark(one),
        )
    console.print(table)
    span = f"{window.since:%Y-%m-%d %H:%M} to {window.until:%Y-%m-%d %H:%M} UTC"
    console.print(
        f"window    {span}: {window.products} predictions of {window.release or 'no release'}", highlight=False
    )
    verdict = window.verdict.replace("_", " ")
    console.print(f"verdict   {verdict}{': ' if window.reasons else ''}{'; '.join(window.reasons)}", highlight=False)
    for action in window.actions:
        console.print(f"action    {action}", highlight=False)


def _format_number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _mark(measure: DriftMeasure) -> str:
    return "drift" if measure.drifted else ""
