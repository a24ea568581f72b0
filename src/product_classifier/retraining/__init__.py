"""When to learn again, exactly once.

Everything is decided from the object store, so any number of triggers may run and each may die at any moment:

    retrain/claims/<n>.json            run n and its corrections; whoever creates it decides, everybody follows
    retrain/starts/<run>/<k>.json      who may start run n, k-th attempt
    retrain/runs/<run>/owner.json      which execution of the pipeline is run n; any other ends as superseded
    retrain/runs/<run>/verdict.json    what the run decided and why, written by the run
    retrain/runs/<run>/failures/<step>.json  why the run ended without a verdict, if it did
    retrain/watermark/<n>.json         run n is over; the newest successful one is the watermark

All of them are written once (`only_if_absent`), none is changed.
"""

from product_classifier.retraining.run_records import Cause, Claim, Failure, Owner, RunResult, Verdict
from product_classifier.retraining.run_store import RunStore
from product_classifier.retraining.runs import (
    RunView,
    acquire_run,
    is_run_finished,
    list_runs,
    request_run,
    run_of_execution,
    write_failure,
    write_verdict,
)
from product_classifier.retraining.snapshot import Snapshot, SnapshotItem, read_snapshot, write_snapshot

__all__ = [
    "Cause",
    "Claim",
    "Failure",
    "Owner",
    "RunResult",
    "RunStore",
    "RunView",
    "Snapshot",
    "SnapshotItem",
    "Verdict",
    "acquire_run",
    "is_run_finished",
    "list_runs",
    "read_snapshot",
    "request_run",
    "run_of_execution",
    "write_failure",
    "write_snapshot",
    "write_verdict",
]
