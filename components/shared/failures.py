"""Reasons why runs failed and durations of steps, which the API of Kubeflow Pipelines does not report."""

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import UTC, datetime

from product_classifier.errors import ProductClassifierError, RunSuperseded
from product_classifier.retraining import (
    Failure,
    RunStore,
    StepStart,
    StepTiming,
    run_of_execution,
    write_failure,
    write_step_start,
    write_step_timing,
)
from product_classifier.retraining.run_records import StepOutcome
from product_classifier.store import open_store
from product_classifier.tracing import configure_tracing, run_span

MAX_REASON = 1000
"""Characters of a reason that are stored."""

EXECUTION = "EXECUTION_ID"
"""Variable with the id of this execution of the pipeline. As an input of the steps it would change their cache keys."""


def execution() -> str:
    """Return the id of this execution; empty outside a pipeline."""
    return os.environ.get(EXECUTION, "")


@contextmanager
def record_step(step: str, store: str, run_id: str = "") -> Iterator[None]:
    """Write start and duration of a step, and why it failed, then reraise; do nothing without a run.

    `start_run` passes `run_id`; every later step reads from the store which run this execution owns.
    """
    started = time.monotonic()
    _write_start(step, store)
    provider = configure_tracing("training")
    try:
        with step_span(step, store, run_id, traced=provider is not None):
            yield
    except RunSuperseded:
        raise  # another execution owns the run, whose outcome this one must not touch
    except Exception as error:
        run_id = run_id or _own_run(store)
        write_reason(step, run_id, store, f"{type(error).__name__}: {error}")
        _write_timing(step, run_id, store, "failed", started)
        raise
    else:
        _write_timing(step, run_id or _own_run(store), store, "ok", started)
    finally:
        if provider is not None:
            provider.shutdown()  # the process may be killed once the step has ended


@contextmanager
def record_run_failure(run_id: str, store: str) -> Iterator[None]:
    """Write why a local run ended if none of its steps did, for example when killed; reraise."""
    try:
        yield
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        if run_id and not _has_reason(run_id, store):
            stopped = not isinstance(error, Exception)
            write_reason(None, run_id, store, "the run was stopped" if stopped else str(error))
        raise


def write_reason(step: str | None, run_id: str, store: str, reason: str) -> None:
    """Write why a run failed; ignore an unavailable store, which must not hide the failure itself."""
    if not run_id:
        return
    with suppress(ProductClassifierError, ValueError):
        failure = Failure(run_id=run_id, step=step, reason=reason[:MAX_REASON], created=datetime.now(UTC))
        write_failure(RunStore(open_store(store)), failure)


def step_span(step: str, store: str, run_id: str, *, traced: bool) -> AbstractContextManager[object]:
    """Return the span of a step in the trace of its run, or of its execution in a training without a run."""
    if not traced:
        return nullcontext()
    return run_span(step, run_id or _own_run(store) or execution() or "training", step=step)


def _write_start(step: str, store: str) -> None:
    """Write when a step started, of a run that this execution owns; ignore an unavailable store.

    Not of `start_run`, which takes ownership.
    """
    if not (run_id := _own_run(store)):
        return
    with suppress(ProductClassifierError, ValueError):
        start = StepStart(run_id=run_id, step=step, created=datetime.now(UTC))
        write_step_start(RunStore(open_store(store)), start)


def _write_timing(step: str, run_id: str, store: str, outcome: StepOutcome, started: float) -> None:
    """Write how long a step took; ignore an unavailable store, which must not fail the step."""
    if not run_id:
        return
    with suppress(ProductClassifierError, ValueError):
        timing = StepTiming(
            run_id=run_id,
            step=step,
            outcome=outcome,
            seconds=time.monotonic() - started,
            created=datetime.now(UTC),
        )
        write_step_timing(RunStore(open_store(store)), timing)


def _own_run(store: str) -> str:
    """Return the run that this execution owns; "" for none or an unavailable store."""
    with suppress(ProductClassifierError, ValueError):
        return run_of_execution(RunStore(open_store(store)), execution()) or ""
    return ""


def _has_reason(run_id: str, store: str) -> bool:
    """Return whether a reason is stored; True for an unavailable store, which could not take another."""
    try:
        return RunStore(open_store(store)).failure(run_id) is not None
    except (ProductClassifierError, ValueError):
        return True
