"""The dashboards: service, models and quality, loop, resources."""

from collections.abc import Callable, Mapping
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from operations.monitoring.panels import WINDOW, board, lines, value
from product_classifier.metrics import definitions as d
from product_classifier.metrics.definitions import MetricDefinition

GATEWAY: Final = '{job="auth-proxy"}'
PREDICT: Final = '{job="auth-proxy",route="/predict"}'


def service() -> Dashboard:
    """Requests, errors and durations of each hop, from the gateway to the predictors."""
    http, models, predictors = d.HTTP_REQUEST_SECONDS, d.MODEL_REQUEST_SECONDS, d.PREDICTOR_REQUEST_SECONDS
    made = board("service", "Product classifier: service", "Requests, errors and durations of each hop")
    made.with_row(Row("Gateway, feedback service, trigger"))
    made.with_panel(lines("Requests", "By service", "reqps", (_rate(http, "job"), "{{job}}")))
    made.with_panel(
        lines("Errors", "Share of responses with 5xx", "percentunit", (_share(http, 'status=~"5.."', "job"), "{{job}}"))
    )
    made.with_panel(lines("Duration", "95th percentile", "s", (_quantile(0.95, http, "job"), "{{job}}")))
    made.with_panel(
        lines("Requests by route", "Gateway", "reqps", (_rate(http, "route, status", GATEWAY), "{{route}} {{status}}"))
    )
    made.with_panel(
        lines(
            "/predict",
            "Percentiles of the time to respond",
            "s",
            *((_quantile(share, http, "", PREDICT), f"p{share * 100:g}") for share in (0.5, 0.95, 0.99)),
        )
    )
    stage = d.PREDICTION_STAGE_SECONDS
    made.with_panel(
        lines("Stages of /predict", "95th percentile of each", "s", (_quantile(0.95, stage, "stage"), "{{stage}}"))
    )
    made.with_row(Row("Model servers"))
    made.with_panel(lines("Requests", "By model", "reqps", (_rate(models, "model_name"), "{{model_name}}")))
    made.with_panel(
        lines(
            "Errors",
            "Share of requests that are neither ok nor degraded",
            "percentunit",
            (_share(models, 'outcome!~"ok|degraded"', "model_name"), "{{model_name}}"),
        )
    )
    made.with_panel(
        lines("Duration", "95th percentile", "s", (_quantile(0.95, models, "model_name"), "{{model_name}}"))
    )
    made.with_row(Row("From the fusion to the predictors"))
    made.with_panel(
        lines("Requests", "By outcome", "reqps", (_rate(predictors, "predictor, outcome"), "{{predictor}} {{outcome}}"))
    )
    made.with_panel(
        lines(
            "Errors",
            "Share of requests without a prediction",
            "percentunit",
            (_share(predictors, 'outcome="unavailable"', "predictor"), "{{predictor}}"),
        )
    )
    return made.with_panel(
        lines("Duration", "95th percentile", "s", (_quantile(0.95, predictors, "predictor"), "{{predictor}}"))
    )


def models() -> Dashboard:
    """What is predicted, with which confidence, by which release, and whether it drifts."""
    made = board("models", "Product classifier: models and quality", "Predictions, confidence, queues and drift")
    made.with_row(Row("Predictions"))
    made.with_panel(
        lines("Products", "By release", "reqps", (_rate(d.PREDICTIONS, "release"), "{{release}}"), stacked=True)
    )
    made.with_panel(
        lines(
            "Accepted",
            "Share of products whose prediction is accepted",
            "percentunit",
            (_share(d.PREDICTIONS, 'decision="accept"', "release"), "{{release}}"),
        )
    )
    made.with_panel(
        lines(
            "Degraded",
            "Share of products classified without one of their modalities",
            "percentunit",
            (_share(d.PREDICTIONS, 'degraded="true"', "release"), "{{release}}"),
        )
    )
    made.with_panel(
        lines(
            "Confidence",
            "Percentiles over all products",
            "percentunit",
            *((_quantile(share, d.PREDICTION_CONFIDENCE, ""), f"p{share * 100:g}") for share in (0.1, 0.5, 0.9)),
        )
    )
    made.with_panel(
        lines("Modality", "Products by modality", "reqps", (_rate(d.PREDICTIONS, "modality"), "{{modality}}"))
    )
    made.with_panel(
        lines(
            "Categories",
            "The ten most frequent ones",
            "percentunit",
            (_most_frequent(10), "{{category}}"),
        )
    )
    made.with_row(Row("Model servers"))
    made.with_panel(
        lines("Queues", "Work that waits", "short", (d.MODEL_QUEUE_LENGTH.name, "{{model_name}} {{stage}}"))
    )
    made.with_panel(
        lines(
            "Time by stage",
            "Mean of a piece of work",
            "s",
            (_mean(d.MODEL_STAGE_SECONDS, d.MODEL_STAGE_WORK, "model_name, stage"), "{{model_name}} {{stage}}"),
        )
    )
    made.with_panel(
        lines(
            "Age of the release",
            "Since it was made",
            "s",
            (f"time() - {d.MODEL_RELEASE_CREATED.name}", "{{model_name}}"),
        )
    )
    made.with_row(Row("Drift of the newest window"))
    made.with_panel(
        lines(
            "Drift scores",
            "Divided by the threshold: above 1 is drift",
            "short",
            (f"{d.DRIFT_SCORE.name} / {d.DRIFT_THRESHOLD.name}", "{{measure}}"),
        )
    )
    made.with_panel(value("Drift", "1 if the newest window drifted", "short", d.DRIFT_WINDOW_DRIFTED.name))
    return made.with_panel(value("Products", "In the newest window", "short", d.DRIFT_WINDOW_PRODUCTS.name))


def loop() -> Dashboard:
    """From corrections to runs to verdicts."""
    made = board("loop", "Product classifier: loop", "Corrections, runs and verdicts")
    made.with_row(Row("Corrections"))
    made.with_panel(
        lines(
            "Corrections",
            "Acknowledged, by where they are durable",
            "cps",
            (_rate(d.CORRECTIONS_ACKNOWLEDGED, "destination"), "{{destination}}"),
        )
    )
    made.with_panel(lines("States", "Corrections by state", "short", (d.CORRECTIONS.name, "{{state}}"), stacked=True))
    made.with_panel(
        lines(
            "Progress to the next run",
            "Trusted corrections that no run has used",
            "short",
            (d.CORRECTIONS_WAITING.name, "waiting"),
            (d.CORRECTIONS_NEEDED.name, "needed"),
        )
    )
    made.with_row(Row("Runs"))
    made.with_panel(
        lines("Reconciliations", "By step", "ops", (_rate(d.RECONCILIATIONS, "step"), "{{step}}"), stacked=True)
    )
    made.with_panel(lines("Newest run", "Its state", "short", (f"{d.RUN_STATE.name} == 1", "{{state}}")))
    made.with_panel(
        lines(
            "Steps",
            "Duration in the newest run with steps",
            "s",
            (d.STEP_SECONDS.name, "{{step}} {{outcome}}"),
            stacked=True,
        )
    )
    made.with_row(Row("Verdict"))
    made.with_panel(
        value(
            "Last verdict",
            "Challenger, and whether it was promoted",
            "short",
            d.VERDICT_INFO.name,
            "{{release}} {{promoted}}",
        )
    )
    made.with_panel(value("Age of the verdict", "Since it was written", "s", f"time() - {d.VERDICT_CREATED.name}"))
    made.with_panel(value("Pending", "1 while a pod of the run does not start", "short", d.RUN_PENDING.name))
    return made.with_panel(value("Last reconciliation", "Seconds ago", "s", f"time() - {d.LAST_RECONCILIATION.name}"))


def resources() -> Dashboard:
    """CPU, memory, descriptors, disks, store and journals of the processes."""
    made = board("resources", "Product classifier: resources", "Processes, volumes, store and journals")
    made.with_row(Row("Processes"))
    made.with_panel(
        lines("CPU", "Cores", "short", (f"sum by (job) (rate(process_cpu_seconds_total[{WINDOW}]))", "{{job}}"))
    )
    made.with_panel(lines("Memory", "Resident", "bytes", ("max by (job) (process_resident_memory_bytes)", "{{job}}")))
    made.with_panel(
        lines(
            "File descriptors",
            "Share of the limit",
            "percentunit",
            ("max by (job) (process_open_fds / process_max_fds)", "{{job}}"),
        )
    )
    made.with_panel(lines("Targets", "1 if Prometheus reaches it", "short", ("min by (job) (up)", "{{job}}")))
    made.with_panel(
        lines(
            "Slots of the gateway",
            "Requests for predictions in progress",
            "short",
            (d.REQUESTS_IN_PROGRESS.name, "in progress"),
            (d.REQUEST_SLOTS.name, "slots"),
        )
    )
    made.with_panel(
        lines(
            "Dropped log lines",
            "By service",
            "cps",
            (_rate(d.LOG_LINES_DROPPED, "job, reason"), "{{job}} {{reason}}"),
        )
    )
    made.with_row(Row("Store, journals and volumes"))
    made.with_panel(
        lines("Store", "1 if it can be written", "short", (f"min by (job) ({d.STORE_AVAILABLE.name})", "{{job}}"))
    )
    made.with_panel(lines("Journals", "Bytes on disk", "bytes", (f"max by (job) ({d.JOURNAL_BYTES.name})", "{{job}}")))
    made.with_panel(
        lines(
            "Volumes",
            "Share that is free",
            "percentunit",
            (f"min by (job) ({d.VOLUME_FREE_BYTES.name} / {d.VOLUME_SIZE_BYTES.name})", "{{job}}"),
        )
    )
    made.with_panel(
        lines("Records", "Writes by outcome", "cps", (_rate(d.PREDICTION_RECORDS, "outcome"), "{{outcome}}"))
    )
    return made.with_panel(
        lines("Record backlog", "Bytes that are being written", "bytes", (d.RECORD_BACKLOG_BYTES.name, "backlog"))
    )


DASHBOARDS: Final[Mapping[str, Callable[[], Dashboard]]] = {
    "service": service,
    "models": models,
    "loop": loop,
    "resources": resources,
}
"""By name of the file."""


def _series(metric: MetricDefinition) -> str:
    """Return the series that counts: that of a histogram has the suffix `_count`."""
    return f"{metric.name}_count" if metric.kind == "histogram" else metric.name


def _rate(metric: MetricDefinition, by: str, selector: str = "") -> str:
    return f"sum by ({by}) (rate({_series(metric)}{selector}[{WINDOW}]))"


def _share(metric: MetricDefinition, condition: str, by: str) -> str:
    """Return the share that meets a condition; 0 where nothing does."""
    every = _rate(metric, by)
    return f"(sum by ({by}) (rate({_series(metric)}{{{condition}}}[{WINDOW}])) or 0 * {every}) / {every}"


def _quantile(share: float, metric: MetricDefinition, by: str, selector: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share:g}, sum by ({labels}) (rate({metric.name}_bucket{selector}[{WINDOW}])))"


def _mean(total: MetricDefinition, count: MetricDefinition, by: str) -> str:
    return f"{_rate(total, by)} / {_rate(count, by)}"


def _most_frequent(count: int) -> str:
    """Return the share of each of the most frequent predicted categories."""
    every = f"scalar(sum(rate({d.PREDICTIONS.name}[{WINDOW}])))"
    return f"topk({count}, {_rate(d.PREDICTIONS, 'category')} / {every})"
