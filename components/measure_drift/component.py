"""Kubeflow Pipelines component of the step measure_drift."""

from kfp import dsl

from components.shared import step_image


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def measure_drift(
    store: str,
    since: str,
    release: str,
    tracking_uri: str,
    experiment: str,
    compacted: int,
    report: dsl.Output[dsl.HTML],
    metrics: dsl.Output[dsl.Metrics],
) -> str:
    """Compare a window of predictions with the release's reference; write the report; return its id.

    Args:
        store: URL of the object store: file:///folder or s3://bucket.
        since: Start of the window: a time (ISO 8601) or a span such as 24h or 7d; empty for 24 hours.
        release: Release whose predictions are measured; empty for that of the newest prediction.
        tracking_uri: URI of MLflow; empty for none.
        experiment: Name of the MLflow experiment.
        compacted: Records that were compacted, which this step starts after.
    """
    import sys
    from datetime import UTC, datetime
    from pathlib import Path

    from components.measure_drift import step
    from components.measure_drift.tracked_window import track_window
    from product_classifier.monitoring.window_start import window_start

    sys.stdout.write(f"{compacted} records are new in the prediction log\n")
    now = datetime.now(UTC)
    window = step.run(store, window_start(since, now), now, release, Path(report.path))
    for measure in window.measures:
        if measure.value is not None:
            metrics.log_metric(measure.name, measure.value)
    track_window(window, Path(report.path), tracking_uri, experiment)
    return window.window_id
