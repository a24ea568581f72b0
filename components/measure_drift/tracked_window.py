"""Log a monitored window as a run of MLflow."""

import sys
from pathlib import Path

from components.shared.tracking import RunRecord, Tracking, TrackingUnavailable
from product_classifier.monitoring.drift_windows import DriftWindow


def track_window(window: DriftWindow, report: Path, tracking_uri: str, experiment: str) -> None:
    """Log measures and page; print why that failed, because the report is stored already."""
    if not tracking_uri:
        return
    metrics = {one.name: one.value for one in window.measures if one.value is not None}
    thresholds = {f"{one.name}_threshold": one.threshold for one in window.measures if one.threshold is not None}
    record = RunRecord(
        name=f"monitor-{window.window_id}",
        params={"since": window.since.isoformat(), "until": window.until.isoformat()},
        metrics={**metrics, **thresholds, "products": float(window.products)},
        tags={"release": window.release, "verdict": window.verdict, "purpose": "monitoring"},
        files={"report.html": report},
        started=window.until,
    )
    try:
        Tracking(tracking_uri, experiment).log_run(record)
    except TrackingUnavailable as error:
        sys.stderr.write(f"not logged in MLflow: {error}\n")
