"""Cut a source into shards, once."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Final

from product_classifier.catalogue.catalogue_rows import RejectedRow
from product_classifier.errors import ScoringError
from product_classifier.scoring.job import JobFolder, JobIdentity, ScoringJob, Shard
from product_classifier.scoring.shard_files import products_to_bytes
from product_classifier.scoring.source import SourceProduct

ROWS_PER_SHARD: Final = 20_000
CHARACTERS_PER_SHARD: Final = 32 * 1024 * 1024
"""Characters of text after which a shard ends early, so that a worker's memory is bounded."""
PHOTOS_PER_SHARD: Final = 2_000
MAX_REJECTS: Final = 100_000
"""Rows of a source that may be no products: more are a wrong layout, not bad rows."""
_PROGRESS_ROWS: Final = 10_000

Progress = Callable[[str, int, int], None]


def plan_job(
    rows: Iterable[SourceProduct | RejectedRow],
    folder: JobFolder,
    identity: JobIdentity,
    progress: Progress = lambda _task, _done, _total: None,
) -> ScoringJob:
    """Return the plan of a job; write its input and the plan unless they are written already.

    A plan that was interrupted starts again and overwrites its input with equal objects.

    Raises:
        ScoringError: If the folder holds a job of another source, layout or release, or the source has no products.
    """
    if (planned := folder.read_plan()) is not None:
        if planned.identity != identity:
            raise ScoringError(
                f"RESULT: holds the scores of {_difference(planned.identity, identity)}; delete them, or give another"
                " RESULT"
            )
        return planned
    shards: list[Shard] = []
    rejects: list[RejectedRow] = []
    waiting: list[SourceProduct] = []
    characters = photos = done = 0

    def flush() -> None:
        nonlocal characters, photos
        if waiting:
            data = products_to_bytes(waiting)
            first, number = waiting[0], len(shards)
            folder.put(folder.input_key(number), data)
            shards.append(Shard(number, len(waiting), first.file, first.line, hashlib.sha256(data).hexdigest()))
            waiting.clear()
        characters = photos = 0

    for row in rows:
        done += 1
        if done % _PROGRESS_ROWS == 0:
            progress("read products", done, 0)
        if isinstance(row, RejectedRow):
            rejects.append(row)
            if len(rejects) > MAX_REJECTS:
                raise ScoringError(
                    f"SOURCE: more than {MAX_REJECTS:,} rows are no products, the first is {rejects[0]}; correct the"
                    " layout"
                )
            continue
        waiting.append(row)
        characters += len(row.designation) + len(row.description)
        photos += bool(row.photo)
        if len(waiting) >= ROWS_PER_SHARD or characters >= CHARACTERS_PER_SHARD or photos >= PHOTOS_PER_SHARD:
            flush()
    flush()
    progress("read products", done, done)
    job = ScoringJob(identity, tuple(shards), tuple(reject_values(reject) for reject in rejects))
    folder.write_plan(job)
    return job


def reject_values(reject: RejectedRow) -> dict[str, object]:
    """Return a rejected row as JSON values."""
    values = asdict(reject)
    del values["product_kept"]
    return values


def _difference(planned: JobIdentity, wanted: JobIdentity) -> str:
    if planned.release != wanted.release:
        return f"release {planned.release}, not of {wanted.release}"
    if planned.source != wanted.source:
        return "other files, or of the same before they changed"
    return "the same files read by another layout"
