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

from product_classifier.retraining.ledger import Ledger
from product_classifier.retraining.records import Cause, Claim, Closing, Failure, Owner, Verdict
from product_classifier.retraining.runs import (
    RunView,
    is_over,
    request_run,
    run_of,
    run_views,
    take_run,
    write_failure,
    write_verdict,
)
from product_classifier.retraining.snapshot import Snapshot, SnapshotItem, freeze, read_snapshot

__all__ = [
    "Cause",
    "Claim",
    "Closing",
    "Failure",
    "Ledger",
    "Owner",
    "RunView",
    "Snapshot",
    "SnapshotItem",
    "Verdict",
    "freeze",
    "is_over",
    "read_snapshot",
    "request_run",
    "run_of",
    "run_views",
    "take_run",
    "write_failure",
    "write_verdict",
]
