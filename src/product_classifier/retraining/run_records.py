"""Immutable records of retraining runs, and their keys."""

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from product_classifier.feedback.records import Record, Sha256

Cause = Literal["threshold", "manual", "drift"]
Outcome = Literal["succeeded", "failed"]
StepOutcome = Literal["ok", "failed"]
RUN_ID = r"^retrain-([0-9]{6})-[0-9a-f]{12}$"
RunId = Annotated[str, Field(pattern=RUN_ID)]

CLAIMS = "retrain/claims/"
WATERMARK = "retrain/watermark/"
RUNS = "retrain/runs/"
STARTS = "retrain/starts/"
RUN_LOG_PART_BYTES = 65_536
"""Bytes of the log of a run that one request to the trigger returns."""


def generation_of(run_id: str) -> int:
    """Return the number of a run, which its id contains; 0, which no run has, for another text."""
    found = re.fullmatch(RUN_ID, run_id, re.ASCII)
    return int(found[1]) if found else 0


class Claim(Record):
    """Claim of run number `generation`, started or not."""

    generation: int = Field(ge=1)
    run_id: RunId
    cause: Cause
    requested_by: str
    snapshot: Sha256
    corrections: int = Field(ge=0)
    """Number of labels that no successful run has used."""
    created: AwareDatetime


class StartLease(Record):
    """The trigger that may start a run until its lease expires, see `RetrainSettings.lease_s`."""

    trigger: str
    created: AwareDatetime


class Owner(Record):
    """The pipeline execution that owns a run."""

    execution: str
    created: AwareDatetime


class PendingReason(Record):
    """Why the execution of a run, or a step of it, does not start; empty once it does.

    The only record that is overwritten.
    """

    run_id: RunId
    reason: str
    created: AwareDatetime


class Verdict(Record):
    """Verdict of a run about its challenger release."""

    run_id: RunId
    promoted: bool
    release: str | None = None
    champion: str | None = None
    reasons: tuple[str, ...]
    metrics: dict[str, Any] = Field(default_factory=dict)
    created: AwareDatetime


class Failure(Record):
    """Reason why a step of a run failed."""

    run_id: RunId
    step: str | None = Field(pattern=r"^[a-z_]+$")
    """Name of the step; None if the run as a whole failed."""
    reason: str
    created: AwareDatetime

    def __str__(self) -> str:
        return f"step {self.step!r} failed: {self.reason}" if self.step else self.reason


class StepStart(Record):
    """Start of a step of a run; of a step that is tried again, the first."""

    run_id: RunId
    step: str = Field(pattern=r"^[a-z_]+$")
    created: AwareDatetime

    @property
    def key(self) -> str:
        """Key of the record."""
        return f"{step_starts_prefix(self.run_id)}{self.step}.json"


class StepTiming(Record):
    """How long a step of a run took; one per outcome, because a failed step may be tried again."""

    run_id: RunId
    step: str = Field(pattern=r"^[a-z_]+$")
    outcome: StepOutcome
    seconds: float = Field(ge=0, allow_inf_nan=False)
    created: AwareDatetime

    @property
    def key(self) -> str:
        """Key of the record."""
        return f"{steps_prefix(self.run_id)}{self.step}.{self.outcome}.json"


class RunResult(Record):
    """Result of run number `generation`. After a success its snapshot is the watermark."""

    generation: int = Field(ge=1)
    run_id: RunId
    outcome: Outcome
    reason: str
    created: AwareDatetime


RunState = Literal["waiting", "running", "succeeded", "failed"]


class RunView(Record):
    """A run with its state, as returned by the API."""

    run_id: str
    state: RunState
    cause: str
    requested_by: str
    corrections: int
    snapshot: str
    created: datetime
    started: datetime | None
    finished: datetime | None
    reason: str | None
    """Why the run ended as it did; of a run that has not ended, why it does not start."""
    verdict: Verdict | None


def make_run_id(generation: int, feedback_ids: Iterable[str]) -> str:
    """Return the id of a run, derived from its number and the ids of its new corrections."""
    return make_run_id_of_sorted(generation, sorted(feedback_ids))


def make_run_id_of_sorted(generation: int, feedback_ids: Iterable[str]) -> str:
    """Return what `make_run_id` returns, for ids that are sorted and may be more than fit in memory."""
    digest = hashlib.sha256(str(generation).encode())
    for feedback_id in feedback_ids:
        digest.update(f"\n{feedback_id}".encode())
    return f"retrain-{generation:06}-{digest.hexdigest()[:12]}"


def claim_key(generation: int) -> str:
    """Return the key of a claim by run number."""
    return f"{CLAIMS}{generation:06}.json"


def result_key(generation: int) -> str:
    """Return the key of a run result."""
    return f"{WATERMARK}{generation:06}.json"


def start_lease_key(run_id: str, attempt: int) -> str:
    """Return the key of the start lease of an attempt."""
    return f"{STARTS}{run_id}/{attempt:04}.json"


def owner_key(run_id: str) -> str:
    """Return the key of a run's owner."""
    return f"{RUNS}{run_id}/owner.json"


def verdict_key(run_id: str) -> str:
    """Return the key of a run's verdict."""
    return f"{RUNS}{run_id}/verdict.json"


def pending_key(run_id: str) -> str:
    """Return the key of the reason why a run does not start."""
    return f"{RUNS}{run_id}/pending.json"


def failures_prefix(run_id: str) -> str:
    """Return the prefix of the failures of a run."""
    return f"{RUNS}{run_id}/failures/"


def step_starts_prefix(run_id: str) -> str:
    """Return the prefix of the starts of a run's steps.

    Not below `steps_prefix`, all of whose objects earlier versions read as `StepTiming`.
    """
    return f"{RUNS}{run_id}/started/"


def steps_prefix(run_id: str) -> str:
    """Return the prefix of the timings of a run's steps."""
    return f"{RUNS}{run_id}/steps/"


def manifest_key(sha256: str) -> str:
    """Return the key of a snapshot."""
    return f"datasets/{sha256}/manifest.json"
