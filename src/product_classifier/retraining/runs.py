"""Operations on runs for the pipeline and the feedback service."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from itertools import islice

from product_classifier.errors import ObjectExists, RetrainActive
from product_classifier.feedback.trust import Label
from product_classifier.retraining.label_progress import LabelProgress
from product_classifier.retraining.run_records import (
    Claim,
    Failure,
    Owner,
    RunResult,
    RunState,
    RunView,
    StepStart,
    StepTiming,
    Verdict,
    failures_prefix,
    generation_of,
    owner_key,
    verdict_key,
)
from product_classifier.retraining.run_store import RunStore


def start_requested_run(run_store: RunStore, progress: LabelProgress, requested_by: str, now: datetime) -> Claim:
    """Claim a run with all labels, regardless of threshold and cooldown.

    Raises:
        RetrainActive: If a run is active.
    """
    return _request(
        run_store, lambda number: progress.claim(number, cause="manual", requested_by=requested_by, now=now)
    )


def request_run(run_store: RunStore, labels: tuple[Label, ...], requested_by: str, now: datetime) -> Claim:
    """Claim a run with these labels, regardless of threshold and cooldown.

    Raises:
        RetrainActive: If a run is active.
    """
    return _request(
        run_store,
        lambda number: run_store.claim_run(number, labels, cause="manual", requested_by=requested_by, now=now),
    )


def _request(run_store: RunStore, claim: Callable[[int], Claim]) -> Claim:
    latest = run_store.latest()
    if latest and not run_store.is_finished(latest):
        raise RetrainActive(_run_id(run_store, latest))
    try:
        return claim(latest + 1)
    except ObjectExists as error:
        raise RetrainActive(_run_id(run_store, latest + 1)) from error


def list_runs(run_store: RunStore, limit: int | None = None, before: str | None = None) -> list[RunView]:
    """Return runs, newest first; finished ones are read once.

    Args:
        run_store: Where the runs are.
        limit: The most to return; None for all.
        before: Id of a run; only older ones are returned.
    """
    claims = islice(_claims(run_store, before=None if before is None else generation_of(before)), limit)
    return [run_store.finished_views.get(claim.run_id) or _view(run_store, claim) for claim in claims]


def find_run(run_store: RunStore, run_id: str) -> RunView | None:
    """Return a run, None if there is none of this id."""
    claim = run_store.claim(generation_of(run_id))
    if claim is None or claim.run_id != run_id:
        return None
    return run_store.finished_views.get(run_id) or _view(run_store, claim)


def acquire_run(run_store: RunStore, run_id: str, execution: str, now: datetime) -> bool:
    """Make a pipeline execution the owner of a run; return whether it is.

    An execution that gets False must stop without side effects: another one owns the run, or the run is finished. Calls
    are idempotent.
    """
    claim = next((claim for claim in _claims(run_store) if claim.run_id == run_id), None)
    if claim is None or run_store.is_finished(claim.generation):
        return False
    owner = Owner(execution=execution, created=now)
    try:
        run_store.store.put(owner_key(run_id), owner.to_json(), only_if_absent=True)
    except ObjectExists:
        found = run_store.owner(run_id)
        return found is not None and found.execution == execution
    return True


def run_of_execution(run_store: RunStore, execution: str) -> str | None:
    """Return the id of the newest run if this execution owns it, else None."""
    claim = run_store.claim(run_store.latest())
    owner = run_store.owner(claim.run_id) if claim else None
    return claim.run_id if claim and owner and owner.execution == execution else None


def write_verdict(run_store: RunStore, verdict: Verdict) -> None:
    """Store the verdict of a run unless it has one."""
    with suppress(ObjectExists):
        run_store.store.put(verdict_key(verdict.run_id), verdict.to_json(), only_if_absent=True)


def write_failure(run_store: RunStore, failure: Failure) -> None:
    """Store the failure of a step unless an earlier attempt of the step has stored one."""
    with suppress(ObjectExists):
        key = f"{failures_prefix(failure.run_id)}{failure.step or 'run'}.json"
        run_store.store.put(key, failure.to_json(), only_if_absent=True)


def write_step_start(run_store: RunStore, start: StepStart) -> None:
    """Store the start of a step unless an earlier attempt has stored it."""
    with suppress(ObjectExists):
        run_store.store.put(start.key, start.to_json(), only_if_absent=True)


def write_step_timing(run_store: RunStore, timing: StepTiming) -> None:
    """Store how long a step took unless an earlier attempt with the same outcome has stored it."""
    with suppress(ObjectExists):
        run_store.store.put(timing.key, timing.to_json(), only_if_absent=True)


def is_run_finished(run_store: RunStore, run_id: str) -> bool:
    """Return whether a run has a result. Executions of a finished run must stop without side effects."""
    return any(claim.run_id == run_id and run_store.is_finished(claim.generation) for claim in _claims(run_store))


def _claims(run_store: RunStore, before: int | None = None) -> Iterator[Claim]:
    """Yield the readable claims, newest first, of runs with a number below `before`."""
    newest = run_store.latest() if before is None else min(before - 1, run_store.latest())
    claims = (run_store.claim(generation) for generation in range(newest, 0, -1))
    return (claim for claim in claims if claim is not None)


def _run_id(run_store: RunStore, generation: int) -> str:
    claim = run_store.claim(generation)
    return claim.run_id if claim is not None else f"number {generation}"


def _view(run_store: RunStore, claim: Claim) -> RunView:
    owner = run_store.owner(claim.run_id)
    result = run_store.result(claim.generation)
    view = RunView(
        run_id=claim.run_id,
        state=_state(owner, result),
        cause=claim.cause,
        requested_by=claim.requested_by,
        corrections=claim.corrections,
        snapshot=claim.snapshot,
        created=claim.created,
        started=owner.created if owner else None,
        finished=result.created if result else None,
        reason=result.reason if result else run_store.pending_reason(claim.run_id) or None,
        verdict=run_store.verdict(claim.run_id),
    )
    if result is not None:
        run_store.finished_views[claim.run_id] = view
    return view


def _state(owner: Owner | None, result: RunResult | None) -> RunState:
    if result is not None:
        return result.outcome
    return "waiting" if owner is None else "running"
