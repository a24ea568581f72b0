"""The write-once objects of retraining and their keys."""

import hashlib
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from product_classifier.feedback.records import Record, Sha256

Cause = Literal["threshold", "manual"]
Outcome = Literal["succeeded", "failed"]
RunId = Annotated[str, Field(pattern=r"^retrain-[0-9]{6}-[0-9a-f]{12}$")]

CLAIMS = "retrain/claims/"
WATERMARK = "retrain/watermark/"
RUNS = "retrain/runs/"
STARTS = "retrain/starts/"


class Claim(Record):
    """Run number `generation`: decided, whether or not it has started."""

    generation: int = Field(ge=1)
    run_id: RunId
    cause: Cause
    requested_by: str
    snapshot: Sha256
    corrections: int = Field(ge=0)
    """How many labels are beyond the watermark."""
    created: AwareDatetime


class StartLease(Record):
    """Who may start the run; another takes over when this one has not done it for the length of a lease."""

    trigger: str
    created: AwareDatetime


class Owner(Record):
    """The one execution of the pipeline that is this run."""

    execution: str
    created: AwareDatetime


class Verdict(Record):
    """What a run decided about its challenger."""

    run_id: RunId
    promoted: bool
    release: str | None = None
    champion: str | None = None
    reasons: tuple[str, ...]
    metrics: dict[str, Any] = Field(default_factory=dict)
    created: AwareDatetime


class Failure(Record):
    """Why a step of a run ended without doing its work."""

    run_id: RunId
    step: str | None = Field(pattern=r"^[a-z_]+$")
    """None when it was the run as a whole."""
    reason: str
    created: AwareDatetime

    def __str__(self) -> str:
        return f"step {self.step!r} failed: {self.reason}" if self.step else self.reason


class RunResult(Record):
    """Run number `generation` is over; after a success its snapshot is learned."""

    generation: int = Field(ge=1)
    run_id: RunId
    outcome: Outcome
    reason: str
    created: AwareDatetime


def make_run_id(generation: int, feedback_ids: Iterable[str]) -> str:
    """Name a run by its number and by the corrections beyond the watermark: the same wherever it is computed."""
    text = "\n".join([str(generation), *sorted(feedback_ids)])
    return f"retrain-{generation:06}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def claim_key(generation: int) -> str:
    """Return the key of a claim."""
    return f"{CLAIMS}{generation:06}.json"


def result_key(generation: int) -> str:
    """Return the key of a closing."""
    return f"{WATERMARK}{generation:06}.json"


def start_lease_key(run_id: str, attempt: int) -> str:
    """Return the key of the k-th right to start a run."""
    return f"{STARTS}{run_id}/{attempt:04}.json"


def owner_key(run_id: str) -> str:
    """Return the key of a run's owner."""
    return f"{RUNS}{run_id}/owner.json"


def verdict_key(run_id: str) -> str:
    """Return the key of a run's verdict."""
    return f"{RUNS}{run_id}/verdict.json"


def failures_prefix(run_id: str) -> str:
    """Return the prefix of what a run's steps failed of."""
    return f"{RUNS}{run_id}/failures/"


def manifest_key(sha256: str) -> str:
    """Return the key of a frozen snapshot."""
    return f"datasets/{sha256}/manifest.json"
