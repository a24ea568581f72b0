"""Why a run failed, kept where people look: the API of Kubeflow Pipelines tells nobody."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from product_classifier.errors import ProductClassifierError, RunSuperseded
from product_classifier.retraining import Failure, RunStore, run_of_execution, write_failure
from product_classifier.store import open_store

LONGEST = 1000
EXECUTION = "EXECUTION_ID"
"""Variable with the id of this execution of the pipeline. An input would tell every step apart from every earlier one,
and nothing could be answered from a cache."""


def execution() -> str:
    """Return the id of this execution; a step needs one only to be a run."""
    return os.environ.get(EXECUTION, "")


@contextmanager
def recorded(step: str, store: str, run_id: str = "") -> Iterator[None]:
    """Write why a step of a run failed, then let it fail; a training by hand has no run.

    Which run it is, the first step has written down; that one itself says it by `run_id`.
    """
    try:
        yield
    except RunSuperseded:
        raise  # says nothing about the run
    except Exception as error:
        record(step, run_id or _own_run(store), store, f"{type(error).__name__}: {error}")
        raise


@contextmanager
def explained(run_id: str, store: str) -> Iterator[None]:
    """Around a whole run on this machine: write why it ended when none of its steps could, killed for example."""
    try:
        yield
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        if run_id and _unexplained(run_id, store):
            stopped = not isinstance(error, Exception)
            record(None, run_id, store, "the run was stopped" if stopped else str(error))
        raise


def _own_run(store: str) -> str:
    """Return the run that this execution is; a store that is away cannot tell."""
    with suppress(ProductClassifierError, ValueError):
        return run_of_execution(RunStore(open_store(store)), execution()) or ""
    return ""


def _unexplained(run_id: str, store: str) -> bool:
    try:
        return RunStore(open_store(store)).failure(run_id) is None
    except (ProductClassifierError, ValueError):
        return False


def record(step: str | None, run_id: str, store: str, reason: str) -> None:
    """Write why a run failed; a store that is away must not hide the failure itself."""
    if not run_id:
        return
    with suppress(ProductClassifierError, ValueError):
        failure = Failure(run_id=run_id, step=step, reason=reason[:LONGEST], created=datetime.now(UTC))
        write_failure(RunStore(open_store(store)), failure)
