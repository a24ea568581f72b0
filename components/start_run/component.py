"""Kubeflow Pipelines component of the step start_run."""

from typing import NamedTuple

from kfp import dsl

from components.shared import step_image


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def start_run(
    store: str,
    raw: str,
    run_id: str,
    cache_buster: str,
    snapshot: str,
) -> NamedTuple("RunInputs", [("raw_revision", str), ("cache_key", str), ("photo_revision", str), ("started", str)]):  # type: ignore[valid-type]
    """Take ownership of the run; return what identifies the inputs of cached steps.

    Args:
        store: URL of the object store: file:///folder or s3://bucket.
        raw: Folder of the raw files, or s3://bucket/prefix.
        run_id: Run this execution belongs to; empty for a training that no trigger claimed.
        cache_buster: Any text; a new value makes every step run again.
        snapshot: SHA-256 of the frozen snapshot of corrections; empty for none.

    Returns:
        raw_revision: Digest of the raw files' names and versions.
        cache_key: Digest of the code and of what else invalidates cached results.
        photo_revision: Digest of which photos of the corrections exist, and of their versions.
        started: Start of the run (ISO 8601).
    """
    from datetime import UTC, datetime

    from components.shared import failures
    from components.shared import raw as raw_files
    from components.shared.cache_key import cache_key
    from components.shared.correction_photos import photo_revision
    from components.start_run import step

    with failures.record_step("start_run", store, run_id):
        started = datetime.now(UTC).isoformat(timespec="milliseconds")
        step.run(store, run_id, failures.execution())
        return raw_files.revision(raw), cache_key(store, cache_buster), photo_revision(store, snapshot), started
