"""Start each retraining run exactly once.

All state is in the object store, so any number of triggers may run, and each may crash at any time:

    retrain/claims/<n>.json                  claim of run n: its id and its snapshot of corrections
    retrain/starts/<run>/<k>.json            lease of the trigger that may start the run, attempt k
    retrain/runs/<run>/owner.json            pipeline execution that owns the run; any other is superseded
    retrain/runs/<run>/verdict.json          verdict of the gate with its reasons, written by the run
    retrain/runs/<run>/failures/<step>.json  reason why a step failed
    retrain/runs/<run>/started/<step>.json   when a step started
    retrain/runs/<run>/steps/<step>.<outcome>.json  how long a step took
    retrain/watermark/<n>.json               result of run n; the newest successful one is the watermark

All objects are written once (`only_if_absent`) and never changed.
"""

from product_classifier.retraining.label_progress import LabelProgress
from product_classifier.retraining.run_records import (
    Cause,
    Claim,
    Failure,
    Owner,
    RunResult,
    RunView,
    StepStart,
    StepTiming,
    Verdict,
)
from product_classifier.retraining.run_store import RunStore
from product_classifier.retraining.runs import (
    acquire_run,
    find_run,
    is_run_finished,
    list_runs,
    request_run,
    run_of_execution,
    start_requested_run,
    write_failure,
    write_step_start,
    write_step_timing,
    write_verdict,
)
from product_classifier.retraining.snapshot import Snapshot, SnapshotItem, read_snapshot, write_snapshot

__all__ = [
    "Cause",
    "Claim",
    "Failure",
    "LabelProgress",
    "Owner",
    "RunResult",
    "RunStore",
    "RunView",
    "Snapshot",
    "SnapshotItem",
    "StepStart",
    "StepTiming",
    "Verdict",
    "acquire_run",
    "find_run",
    "is_run_finished",
    "list_runs",
    "read_snapshot",
    "request_run",
    "run_of_execution",
    "start_requested_run",
    "write_failure",
    "write_snapshot",
    "write_step_start",
    "write_step_timing",
    "write_verdict",
]
