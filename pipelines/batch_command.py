"""Classify a file that a user uploaded: `python -m pipelines batch <id>`."""

import io
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from pipelines.scoring.score import score
from pipelines.settings import PipelineSettings, ScoreSettings
from product_classifier.batches.batch_records import (
    PART_BYTES,
    SCORES,
    BatchResult,
    ColumnMapping,
    UploadedBatch,
    delete_upload,
    find_result,
    pending_batches,
    read_upload,
    result_part_key,
    write_result,
)
from product_classifier.batches.uploaded_files import CSV_NAME, unpack, write_layout
from product_classifier.errors import CatalogueError, InvalidInput, ObjectNotFound, ScoringError
from product_classifier.release_history.release_records import ReleaseHistory
from product_classifier.scoring.completion import write_result as write_predictions
from product_classifier.scoring.job import JobFolder
from product_classifier.store import ObjectStore, open_store

FINAL_ERRORS = (InvalidInput, CatalogueError, ScoringError, ObjectNotFound)
"""Errors that another attempt would meet too."""


def run_batch(settings: PipelineSettings, execution: str) -> None:
    """Classify the file of a batch, and store predictions and result; what an earlier attempt did is kept.

    Args:
        settings: Object store and deployment.
        execution: Id of the batch, a dash and the number of the attempt.

    Raises:
        InvalidInput: If no batch has the id.
    """
    batch_id = execution.rpartition("-")[0]
    store = open_store(settings.store)
    if find_result(store, batch_id) is not None:
        return
    batch = next((one for one in pending_batches(store) if one.batch_id == batch_id), None)
    if batch is None:
        raise InvalidInput(f"{execution}: no batch has this id")
    try:
        result = _classified(settings, store, batch)
    except FINAL_ERRORS as error:
        result = BatchResult(batch_id=batch_id, done=False, reason=str(error), finished=datetime.now(UTC))
    write_result(store, result)
    delete_upload(store, batch_id)


def _classified(settings: PipelineSettings, store: ObjectStore, batch: UploadedBatch) -> BatchResult:
    place = f"{settings.store}/{SCORES}{batch.batch_id}"
    with tempfile.TemporaryDirectory(prefix="batch-") as name:
        upload, folder = Path(name, "upload"), Path(name, "source")
        folder.mkdir()
        with upload.open("wb") as file:
            file.writelines(read_upload(store, batch.batch_id))
        unpack(upload, batch.kind, folder, with_photos=True)
        upload.unlink()
        write_layout(folder, batch.columns or ColumnMapping())
        score(
            ScoreSettings(source=str(folder / CSV_NAME), result=place, release=_release(store, batch)),
            settings,
            Console(file=io.StringIO()),
        )
    job = JobFolder(store, f"{SCORES}{batch.batch_id}/")
    summary = job.summary()
    parts = 0
    for parts, part in enumerate(_csv_parts(job), start=1):
        store.put(result_part_key(batch.batch_id, parts - 1), part)
    return BatchResult(
        batch_id=batch.batch_id,
        done=True,
        release=summary["release"],
        scored=summary["scored"],
        accepted=summary["accepted"],
        rejected=summary["rejected"],
        parts=parts,
        finished=datetime.now(UTC),
    )


def _release(store: ObjectStore, batch: UploadedBatch) -> str:
    """Return the release of the plan, else the champion; empty for the one deployed here."""
    planned = JobFolder(store, f"{SCORES}{batch.batch_id}/").read_plan()
    return planned.identity.release if planned else ReleaseHistory(store).champion() or ""


def _csv_parts(job: JobFolder) -> Iterator[bytes]:
    with tempfile.TemporaryFile() as file:
        write_predictions(job, file, ".csv")
        file.seek(0)
        while part := file.read(PART_BYTES):
            yield part
