"""Why a run failed, kept where people look: the API of Kubeflow Pipelines tells nobody."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from product_classifier.errors import ProductClassifierError, RunSuperseded
from product_classifier.retraining import Failure, Ledger, write_failure
from product_classifier.store import open_store

LONGEST = 1000


@contextmanager
def recorded(step: str, run_id: str, store: str) -> Iterator[None]:
    """Write why a step of a run failed, then let it fail; a training by hand has no run."""
    try:
        yield
    except RunSuperseded:
        raise  # says nothing about the run
    except Exception as error:
        if run_id:
            record(step, run_id, store, f"{type(error).__name__}: {error}")
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


def _unexplained(run_id: str, store: str) -> bool:
    try:
        return Ledger(open_store(store)).failure(run_id) is None
    except (ProductClassifierError, ValueError):
        return False


def record(step: str | None, run_id: str, store: str, reason: str) -> None:
    """Write why a run failed; a store that is away must not hide the failure itself."""
    with suppress(ProductClassifierError, ValueError):
        failure = Failure(run_id=run_id, step=step, reason=reason[:LONGEST], created=datetime.now(UTC))
        write_failure(Ledger(open_store(store)), failure)
