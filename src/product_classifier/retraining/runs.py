"""What the pipeline, the feedback service and people do with runs."""

from contextlib import suppress
from datetime import datetime
from typing import Literal

from product_classifier.errors import ObjectExists, RetrainActive
from product_classifier.feedback.records import Record
from product_classifier.feedback.trust import Label
from product_classifier.retraining.ledger import Ledger
from product_classifier.retraining.records import (
    Claim,
    Closing,
    Failure,
    Owner,
    Verdict,
    failures_prefix,
    owner_key,
    verdict_key,
)

RunState = Literal["waiting", "running", "succeeded", "failed"]


class RunView(Record):
    """A run as people see it."""

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
    verdict: Verdict | None


def request_run(ledger: Ledger, labels: tuple[Label, ...], requested_by: str, now: datetime) -> Claim:
    """Claim a run by hand, whatever threshold and cool-down say; `RetrainActive` while one is not over."""
    latest = ledger.latest()
    if latest and not ledger.is_closed(latest):
        raise RetrainActive(_run_id(ledger, latest))
    try:
        return ledger.open_run(latest + 1, labels, cause="manual", requested_by=requested_by, now=now)
    except ObjectExists as error:
        raise RetrainActive(_run_id(ledger, latest + 1)) from error


def run_views(ledger: Ledger) -> list[RunView]:
    """Return all runs, newest first."""
    claims = (ledger.claim(generation) for generation in range(ledger.latest(), 0, -1))
    return [_view(ledger, claim) for claim in claims if claim is not None]


def take_run(ledger: Ledger, run_id: str, execution: str, now: datetime) -> bool:
    """Make this execution the run, first of all steps; False when another is, or the run is over: then do nothing.

    A retried step of the same execution gets True again.
    """
    claim = next((claim for claim in _claims(ledger) if claim.run_id == run_id), None)
    if claim is None or ledger.is_closed(claim.generation):
        return False
    owner = Owner(execution=execution, created=now)
    try:
        ledger.store.put(owner_key(run_id), owner.to_json(), only_if_absent=True)
    except ObjectExists:
        found = ledger.owner(run_id)
        return found is not None and found.execution == execution
    return True


def run_of(ledger: Ledger, execution: str) -> str | None:
    """Return the run that this execution has taken; None when it is none, or was one that others have followed."""
    claim = ledger.claim(ledger.latest())
    owner = ledger.owner(claim.run_id) if claim else None
    return claim.run_id if claim and owner and owner.execution == execution else None


def write_verdict(ledger: Ledger, verdict: Verdict) -> None:
    """Keep what a run decided; the first verdict stands."""
    with suppress(ObjectExists):
        ledger.store.put(verdict_key(verdict.run_id), verdict.to_json(), only_if_absent=True)


def write_failure(ledger: Ledger, failure: Failure) -> None:
    """Keep why a step of a run failed; of several attempts of one step the first."""
    with suppress(ObjectExists):
        key = f"{failures_prefix(failure.run_id)}{failure.step or 'run'}.json"
        ledger.store.put(key, failure.to_json(), only_if_absent=True)


def is_over(ledger: Ledger, run_id: str) -> bool:
    """Tell whether a run was closed, so that an execution which still lives must change nothing any more."""
    return any(claim.run_id == run_id and ledger.is_closed(claim.generation) for claim in _claims(ledger))


def _claims(ledger: Ledger) -> list[Claim]:
    latest = ledger.latest()
    return [claim for number in range(latest, 0, -1) if (claim := ledger.claim(number)) is not None]


def _run_id(ledger: Ledger, generation: int) -> str:
    claim = ledger.claim(generation)
    return claim.run_id if claim is not None else f"number {generation}"


def _view(ledger: Ledger, claim: Claim) -> RunView:
    owner = ledger.owner(claim.run_id)
    closing = ledger.closing(claim.generation)
    return RunView(
        run_id=claim.run_id,
        state=_state(owner, closing),
        cause=claim.cause,
        requested_by=claim.requested_by,
        corrections=claim.corrections,
        snapshot=claim.snapshot,
        created=claim.created,
        started=owner.created if owner else None,
        finished=closing.created if closing else None,
        reason=closing.reason if closing else None,
        verdict=ledger.verdict(claim.run_id),
    )


def _state(owner: Owner | None, closing: Closing | None) -> RunState:
    if closing is not None:
        return closing.outcome
    return "waiting" if owner is None else "running"
