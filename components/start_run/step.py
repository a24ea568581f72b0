"""Take ownership of a run in the store."""

from datetime import UTC, datetime

from product_classifier.errors import RunSuperseded
from product_classifier.retraining import RunStore, acquire_run
from product_classifier.store import open_store


def run(store: str, run_id: str = "", execution: str = "") -> None:
    """Record this execution as the owner of the run; do nothing without a run id.

    Args:
        store: URL of the object store with the run's claim: file:///folder or s3://bucket.
        run_id: Run to own; empty for a training that no trigger claimed.
        execution: Id of this execution of the pipeline. The owner may call again, for example on a retry.

    Raises:
        RunSuperseded: If the run is over or another execution owns it.
    """
    if run_id and not acquire_run(RunStore(open_store(store)), run_id, execution, datetime.now(UTC)):
        raise RunSuperseded(f"run {run_id!r} is over, or an execution other than {execution!r} owns it")
