"""The Prometheus metrics of the product: name, kind, description, labels and services.

Names follow https://prometheus.io/docs/practices/naming/: one prefix, base units, `_total` for counters. Labels have
bounded values: routes are those of the route table, releases the newest few, categories as `bounded_categories.py`
limits them. `docs/metrics.md` is generated from this module.
"""

from dataclasses import dataclass
from typing import Final, Literal

PREFIX: Final = "product_classifier_"
Kind = Literal["counter", "gauge", "histogram"]

DURATION_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CONFIDENCE_BUCKETS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)

GATEWAY, FEEDBACK, TRIGGER, MODELS, FUSION = (
    "auth-proxy",
    "feedback-service",
    "retrain-trigger",
    "model servers",
    "fusion-transformer",
)
STATEFUL: Final = (GATEWAY, FEEDBACK)
PYTHON: Final = (GATEWAY, FEEDBACK, TRIGGER)
ALL: Final = (*PYTHON, MODELS)


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """One metric; `name` has the prefix, and the suffix `_total` if it is a counter."""

    name: str
    kind: Kind
    description: str
    labels: tuple[str, ...]
    services: tuple[str, ...]
    buckets: tuple[float, ...] = ()


DEFINITIONS: Final[dict[str, MetricDefinition]] = {}
"""Every metric by name, in the order of this module."""


def _define(
    kind: Kind,
    name: str,
    description: str,
    *labels: str,
    of: tuple[str, ...],
    buckets: tuple[float, ...] = (),
) -> MetricDefinition:
    definition = MetricDefinition(PREFIX + name, kind, description, labels, of, buckets)
    DEFINITIONS[definition.name] = definition
    return definition


# Every process

BUILD_INFO = _define("gauge", "build_info", "1, with the version of the process.", "version", of=ALL)
LOG_LINES_DROPPED = _define(
    "counter",
    "log_lines_dropped_total",
    "Log lines that were dropped: `full` if nothing read them in time, `failed` if the write failed (full disk).",
    "reason",
    of=ALL,
)

# HTTP

HTTP_REQUEST_SECONDS = _define(
    "histogram",
    "http_request_duration_seconds",
    "Time from the headers of a request to the end of its response; `route` is a template, `unknown` without one.",
    "route",
    "method",
    "status",
    of=PYTHON,
    buckets=DURATION_BUCKETS_S,
)
REQUESTS_IN_PROGRESS = _define(
    "gauge", "predict_requests_in_progress", "Requests for predictions that hold a slot.", of=(GATEWAY,)
)
REQUEST_SLOTS = _define(
    "gauge", "predict_request_slots", "Slots for these requests (`AUTH_PROXY_MAX_IN_FLIGHT`).", of=(GATEWAY,)
)

# Predictions

PREDICTIONS = _define(
    "counter",
    "predictions_total",
    "Products predicted; `modality` is what the prediction is based on: `text`, `image` or `both`.",
    "release",
    "category",
    "decision",
    "modality",
    "degraded",
    of=(GATEWAY,),
)
PREDICTION_CONFIDENCE = _define(
    "histogram",
    "prediction_confidence",
    "Confidence of the predicted category, from 0 to 1.",
    "release",
    of=(GATEWAY,),
    buckets=CONFIDENCE_BUCKETS,
)
PREDICTION_STAGE_SECONDS = _define(
    "histogram",
    "prediction_stage_duration_seconds",
    "Time of a stage of `/predict`: `read` (authorization, body), `infer` (fusion), `record` (store or journal).",
    "stage",
    of=(GATEWAY,),
    buckets=DURATION_BUCKETS_S,
)
PREDICTION_RECORDS = _define(
    "counter",
    "prediction_records_total",
    "Writes of prediction records: `stored`, `pending` (in the journal) or `lost`.",
    "outcome",
    of=(GATEWAY,),
)
RECORD_BACKLOG_BYTES = _define(
    "gauge", "prediction_record_backlog_bytes", "Bytes of prediction records that are being written.", of=(GATEWAY,)
)
LOGINS = _define("counter", "logins_total", "Password logins by outcome.", "outcome", of=(GATEWAY,))

# Models

MODEL_REQUEST_SECONDS = _define(
    "histogram",
    "model_request_duration_seconds",
    "Time from the complete request to the response.",
    "model_name",
    "protocol",
    "outcome",
    of=(MODELS,),
    buckets=DURATION_BUCKETS_S,
)
MODEL_STAGE_SECONDS = _define(
    "counter",
    "model_stage_seconds_total",
    "Seconds that work spent in a stage: `batch` (waiting for the next batch), `queue` (for a thread), `compute`.",
    "model_name",
    "stage",
    of=(MODELS,),
)
MODEL_STAGE_WORK = _define(
    "counter",
    "model_stage_work_total",
    "Pieces of work that passed a stage; a batch is one piece of `queue` and `compute`.",
    "model_name",
    "stage",
    of=(MODELS,),
)
MODEL_QUEUE_LENGTH = _define(
    "gauge", "model_queue_length", "Pieces of work that wait in a stage.", "model_name", "stage", of=(MODELS,)
)
MODEL_RELEASE_INFO = _define(
    "gauge",
    "model_release_info",
    "1 for every release in memory; `state` is `current` or `held`.",
    "model_name",
    "release",
    "version",
    "state",
    of=(MODELS,),
)
MODEL_RELEASE_CREATED = _define(
    "gauge",
    "model_release_created_timestamp_seconds",
    "When the current release was made, as its id states; absent if the id has no time.",
    "model_name",
    of=(MODELS,),
)
MODEL_RELEASE_REFUSED = _define(
    "gauge", "model_release_refused", "1 while the requested release is refused.", "model_name", of=(MODELS,)
)
MODEL_OTHER_RELEASES_REFUSED = _define(
    "gauge",
    "model_other_releases_refused",
    "Releases of this server besides the current one that are missing or damaged.",
    "model_name",
    of=(MODELS,),
)
PREDICTOR_REQUEST_SECONDS = _define(
    "histogram",
    "predictor_request_duration_seconds",
    "Time of a request of the fusion to a predictor; `outcome` is `ok`, `refused` or `unavailable`.",
    "predictor",
    "outcome",
    of=(FUSION,),
    buckets=DURATION_BUCKETS_S,
)
DEGRADED_RESPONSES = _define(
    "counter",
    "degraded_responses_total",
    "Responses of the fusion without a modality that a product has.",
    "missing",
    of=(FUSION,),
)
RELEASE_RESPONSE_SECONDS = _define(
    "histogram",
    "release_response_duration_seconds",
    "Response time of a release in its role: `champion`, `canary`, `shadow` or `named`.",
    "release",
    "role",
    "outcome",
    of=(FUSION,),
    buckets=DURATION_BUCKETS_S,
)
SHADOW_PRODUCTS = _define(
    "counter",
    "shadow_products_total",
    "Products predicted by a shadow; `agreement` with the champion is `same` or `other` (category).",
    "release",
    "agreement",
    of=(FUSION,),
)

# Store and journal

STORE_AVAILABLE = _define(
    "gauge", "store_available", "0 while writes go to the journal because the object store fails.", of=STATEFUL
)
JOURNAL_RECORDS = _define("gauge", "journal_records", "Records in the journal and not in the store.", of=(FEEDBACK,))
JOURNAL_BYTES = _define("gauge", "journal_bytes", "Bytes of the journal on disk.", of=STATEFUL)
JOURNAL_REPLAYED = _define(
    "counter", "journal_replayed_total", "Records replayed from the journal to the store.", of=STATEFUL
)
JOURNAL_DAMAGED = _define("gauge", "journal_damaged_ranges", "Damaged ranges found in the journal.", of=STATEFUL)
VOLUME_FREE_BYTES = _define(
    "gauge", "volume_free_bytes", "Free bytes of the volume with the state of the process.", of=PYTHON
)
VOLUME_SIZE_BYTES = _define("gauge", "volume_size_bytes", "Size of that volume in bytes.", of=PYTHON)

# Corrections

CORRECTIONS_ACKNOWLEDGED = _define(
    "counter",
    "corrections_acknowledged_total",
    "Acknowledged corrections: `store`, `journal`, or `replay` of a repeated request.",
    "destination",
    of=(FEEDBACK,),
)
CORRECTIONS = _define("gauge", "corrections", "Corrections by state.", "state", of=(FEEDBACK,))
CORRECTIONS_DAMAGED = _define(
    "gauge", "corrections_damaged", "Objects of corrections and reviews that cannot be parsed.", of=(FEEDBACK, TRIGGER)
)
CORRECTIONS_UNREAD = _define(
    "gauge", "corrections_unread", "Corrections and reviews listed and not yet indexed.", of=(FEEDBACK, TRIGGER)
)
INDEX_COMPLETE = _define(
    "gauge", "correction_index_complete", "0 while the index of corrections is built.", of=(FEEDBACK,)
)

# Retraining

RECONCILIATIONS = _define(
    "counter", "reconciliations_total", "Reconciliations by step taken; `error` if it failed.", "step", of=(TRIGGER,)
)
LAST_RECONCILIATION = _define(
    "gauge", "last_reconciliation_timestamp_seconds", "When the last reconciliation ended.", of=(TRIGGER,)
)
CORRECTIONS_WAITING = _define(
    "gauge", "corrections_waiting", "Trusted corrections that no successful run has used.", of=(TRIGGER,)
)
CORRECTIONS_NEEDED = _define(
    "gauge", "corrections_needed", "Trusted corrections that start a run (`RETRAIN_MIN_CORRECTIONS`).", of=(TRIGGER,)
)
RUN_STATE = _define(
    "gauge",
    "run_state",
    "1 for the state of the newest run, 0 for the others: `waiting`, `running`, `succeeded`, `failed`.",
    "state",
    of=(TRIGGER,),
)
RUN_PENDING = _define(
    "gauge", "run_pending", "1 while a pod of the newest run does not start, for example of a missing image.",
    of=(TRIGGER,),
)  # fmt: skip
RUN_CREATED = _define("gauge", "run_created_timestamp_seconds", "When the newest run was claimed.", of=(TRIGGER,))
RUN_FINISHED = _define("gauge", "run_finished_timestamp_seconds", "When the newest finished run ended.", of=(TRIGGER,))
VERDICT_INFO = _define(
    "gauge",
    "last_verdict_info",
    "1, with the challenger of the newest verdict and whether it was promoted.",
    "release",
    "promoted",
    of=(TRIGGER,),
)
VERDICT_CREATED = _define(
    "gauge", "last_verdict_timestamp_seconds", "When the newest verdict was written.", of=(TRIGGER,)
)
STEP_SECONDS = _define(
    "gauge",
    "training_step_duration_seconds",
    "Duration of each finished step of the newest run with one; `outcome` is `ok` or `failed`.",
    "step",
    "outcome",
    of=(TRIGGER,),
)

# Drift

DRIFT_SCORE = _define("gauge", "drift_score", "Value of a measure of the newest window.", "measure", of=(TRIGGER,))
DRIFT_THRESHOLD = _define(
    "gauge", "drift_threshold", "Value above which a measure counts as drift.", "measure", of=(TRIGGER,)
)
DRIFT_DETECTED = _define("gauge", "drift_detected", "1 for a measure above its threshold.", "measure", of=(TRIGGER,))
DRIFT_WINDOW_DRIFTED = _define(
    "gauge", "drift_window_drifted", "1 if the verdict of the newest window is `drift`.", of=(TRIGGER,)
)
DRIFT_WINDOW_PRODUCTS = _define("gauge", "drift_window_products", "Products of the newest window.", of=(TRIGGER,))
DRIFT_WINDOW_CREATED = _define(
    "gauge", "drift_window_created_timestamp_seconds", "When the newest window was measured.", of=(TRIGGER,)
)
