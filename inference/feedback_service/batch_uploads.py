"""Batches over HTTP: uploaded, checked, listed, and their predictions."""

import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from inference.batch_api import BatchListParameters, BatchPage, BatchParameters, BatchView, UploadProblemView
from inference.http.problems import Problem
from inference.http.public_paths import public_path
from product_classifier.batches.batch_records import (
    PART_BYTES,
    ColumnMapping,
    UploadedBatch,
    batches_of,
    find_batch,
    find_result,
    read_progress,
    result_part_key,
    write_request,
    write_upload,
)
from product_classifier.batches.uploaded_files import Kind, check_file
from product_classifier.errors import InvalidInput
from product_classifier.feedback.records import new_id
from product_classifier.store import ObjectStore


class Batches:
    """Takes uploads and shows what became of them; safe for any number of threads."""

    def __init__(self, store: ObjectStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._submitting = threading.Lock()

    def check_none_active(self, user: str) -> None:
        """Raise a 409 problem if a batch of the user has not ended."""
        newest = next(batches_of(self._store, user), None)
        if newest is not None and find_result(self._store, newest.batch_id) is None:
            raise Problem(
                409,
                f"batch {newest.batch_id} is active; wait until it has ended",
                kind="batch-active",
                batch_id=newest.batch_id,
                status_url=public_path(f"/batches/{newest.batch_id}"),
            )

    def submit(self, user: str, path: Path, kind: Kind, parameters: BatchParameters) -> BatchView:
        """Check an uploaded file, store it and return its batch.

        Raises:
            Problem: 422 if it is no file of products, 409 if another batch of the user is active.
        """
        columns = ColumnMapping(**parameters.model_dump(include=set(ColumnMapping.model_fields)))
        with tempfile.TemporaryDirectory(dir=path.parent, prefix="check-") as scratch:
            try:
                checked = check_file(path, kind, columns, Path(scratch))
            except InvalidInput as error:
                raise Problem(422, str(error), kind="invalid-file") from error
        now = self._now()
        batch = UploadedBatch(
            batch_id=new_id(now),
            user=user,
            file_name=parameters.name,
            kind=kind,
            file_bytes=path.stat().st_size,
            columns=checked.columns,
            rows=checked.rows,
            rejected=checked.rejected,
            problems=checked.problems,
            created=now,
        )
        with self._submitting:
            self.check_none_active(user)
            with path.open("rb") as file:
                write_upload(self._store, batch.batch_id, _parts(file))
            write_request(self._store, batch)
        return self._view(batch)

    def page(self, user: str, parameters: BatchListParameters) -> BatchPage:
        """Return a page of the user's batches, newest first."""
        found: list[UploadedBatch] = []
        for batch in batches_of(self._store, user):
            if parameters.cursor is None or batch.batch_id < parameters.cursor:
                found.append(batch)
            if len(found) > parameters.limit:
                break
        items = [self._view(batch) for batch in found[: parameters.limit]]
        cursor = items[-1].batch_id if len(found) > len(items) else None
        return BatchPage(items=items, next_cursor=cursor)

    def view(self, user: str, batch_id: str) -> BatchView:
        """Return a batch of the user; raise a 404 problem if there is none of this id."""
        return self._view(self._existing(user, batch_id))

    def result(self, user: str, batch_id: str) -> Iterator[bytes]:
        """Yield the predictions of a batch as CSV; raise a 409 problem before it has ended well."""
        batch = self._existing(user, batch_id)
        result = find_result(self._store, batch.batch_id)
        if result is None or not result.done:
            reason = "is not classified yet; send the request later" if result is None else f"failed: {result.reason}"
            raise Problem(409, f"batch {batch_id}: {reason}", kind="no-result")
        return (self._store.get(result_part_key(batch_id, part)) for part in range(result.parts))

    def _existing(self, user: str, batch_id: str) -> UploadedBatch:
        batch = find_batch(self._store, user, batch_id)
        if batch is None:
            raise Problem(404, f"id: you have no batch with the id {batch_id!r}", kind="unknown-batch")
        return batch

    def _view(self, batch: UploadedBatch) -> BatchView:
        result = find_result(self._store, batch.batch_id)
        progress = read_progress(self._store, batch.batch_id)
        if result is not None:
            state = "succeeded" if result.done else "failed"
        else:
            state = "running" if progress.rows else "waiting"
        return BatchView(
            batch_id=batch.batch_id,
            file_name=batch.file_name,
            state=state,
            created=batch.created,
            finished=result.finished if result else None,
            reason=result.reason if result else "",
            rows=batch.rows,
            classified=result.scored if result and result.done else progress.classified,
            accepted=result.accepted if result and result.done else None,
            rejected=result.rejected if result and result.done else batch.rejected,
            problems=[UploadProblemView(**one.model_dump()) for one in batch.problems],
            release=result.release if result and result.done else None,
            result_url=public_path(f"/batches/{batch.batch_id}/result") if result and result.done else None,
        )


def _parts(file: BinaryIO) -> Iterator[bytes]:
    while part := file.read(PART_BYTES):
        yield part
