"""Batches: files of products that users upload, classified in the background.

batches/requests/<user digest>/<id>.json   what was uploaded; the commit marker of the upload
batches/uploads/<id>/<part>                the file, in parts of `PART_BYTES`
batches/scores/<id>/                       the scoring job, see `product_classifier.scoring.job`
batches/results/<id>.json                  how it ended; written once
batches/results/<id>/<part>.csv            the predictions, in parts
"""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Literal, Protocol

from pydantic import AwareDatetime, Field

from product_classifier.errors import ObjectExists, ObjectNotFound
from product_classifier.feedback.records import Identifier, Record
from product_classifier.limits import MIB
from product_classifier.retraining.launcher import Execution
from product_classifier.scoring.job import JobFolder
from product_classifier.store import ObjectStore

REQUESTS = "batches/requests/"
UPLOADS = "batches/uploads/"
SCORES = "batches/scores/"
RESULTS = "batches/results/"
PART_BYTES = 8 * MIB
MAX_ATTEMPTS = 5
"""Processes that are started for one batch while they end without a result."""


class UploadProblem(Record):
    """A row of an uploaded file that is no product."""

    line: int
    field: str
    value: str
    reason: str


class ColumnMapping(Record):
    """Names of the columns of a file; empty for what it has not."""

    id: str = ""
    designation: str = ""
    description: str = ""
    image: str = ""


class UploadedBatch(Record):
    """An uploaded file that was checked."""

    batch_id: Identifier
    user: str
    file_name: str
    kind: Literal["csv", "zip"]
    file_bytes: int
    columns: ColumnMapping | None
    """None for the layout of the challenge."""
    rows: int
    """Products and rejected rows."""
    rejected: int
    problems: tuple[UploadProblem, ...]
    """The first rejected rows."""
    created: AwareDatetime

    @property
    def key(self) -> str:
        """Key of the object."""
        return f"{_user_prefix(self.user)}{self.batch_id}.json"


class BatchResult(Record):
    """How a batch ended."""

    batch_id: Identifier
    done: bool
    reason: str = ""
    release: str = ""
    scored: int = 0
    accepted: int = 0
    rejected: int = 0
    parts: int = 0
    """Objects with the predictions as CSV."""
    finished: AwareDatetime


class Progress(Record):
    """Rows of a batch that are planned and classified; both 0 before they are planned."""

    rows: int = Field(default=0, ge=0)
    classified: int = Field(default=0, ge=0)


class BatchLauncher(Protocol):
    """Starts the process of a batch; a `Launcher` of runs is one."""

    def find(self, run_id: str) -> Execution | None:
        """Return the state of the process, None if it was never started."""

    def start(self, run_id: str, snapshot: str) -> None:
        """Start the process unless it was started; the snapshot is empty."""


def write_upload(store: ObjectStore, batch_id: str, parts: Iterator[bytes]) -> None:
    """Store an uploaded file in parts."""
    for number, part in enumerate(parts):
        store.put(f"{UPLOADS}{batch_id}/{number:06}", part)


def read_upload(store: ObjectStore, batch_id: str) -> Iterator[bytes]:
    """Yield the parts of an uploaded file."""
    return (store.get(key) for key in sorted(store.list(f"{UPLOADS}{batch_id}/")))


def delete_upload(store: ObjectStore, batch_id: str) -> None:
    """Delete an uploaded file."""
    for key in list(store.list(f"{UPLOADS}{batch_id}/")):
        store.delete(key)


def write_request(store: ObjectStore, batch: UploadedBatch) -> None:
    """Store a batch whose file is stored."""
    store.put(batch.key, batch.to_json(), only_if_absent=True)


def find_batch(store: ObjectStore, user: str, batch_id: str) -> UploadedBatch | None:
    """Return a batch of a user, None if the user has none of this id."""
    return _read(store, f"{_user_prefix(user)}{batch_id}.json")


def batches_of(store: ObjectStore, user: str) -> Iterator[UploadedBatch]:
    """Yield the batches of a user, newest first."""
    keys = sorted(store.list(_user_prefix(user)), reverse=True)
    return (batch for key in keys if (batch := _read(store, key)) is not None)


def pending_batches(store: ObjectStore) -> list[UploadedBatch]:
    """Return the batches of all users without a result, oldest first."""
    finished = {key.rpartition("/")[2].removesuffix(".json") for key in store.list(RESULTS) if key.endswith(".json")}
    names = {key.rpartition("/")[2].removesuffix(".json"): key for key in store.list(REQUESTS)}
    found = (_read(store, names[batch_id]) for batch_id in sorted(names.keys() - finished))
    return [batch for batch in found if batch is not None]


def find_result(store: ObjectStore, batch_id: str) -> BatchResult | None:
    """Return how a batch ended, None while it has not."""
    key = f"{RESULTS}{batch_id}.json"
    try:
        return BatchResult.from_json(store.get(key), key)
    except ObjectNotFound:
        return None


def write_result(store: ObjectStore, result: BatchResult) -> None:
    """Store how a batch ended, unless that is stored."""
    with suppress(ObjectExists):
        store.put(f"{RESULTS}{result.batch_id}.json", result.to_json(), only_if_absent=True)


def result_part_key(batch_id: str, part: int) -> str:
    """Return the key of a part of the predictions."""
    return f"{RESULTS}{batch_id}/{part:06}.csv"


def read_progress(store: ObjectStore, batch_id: str) -> Progress:
    """Return how far a batch is."""
    folder = JobFolder(store, f"{SCORES}{batch_id}/")
    job = folder.read_plan()
    if job is None:
        return Progress()
    finished = folder.finished_shards()
    return Progress(rows=job.rows, classified=sum(shard.rows for shard in job.shards if shard.number in finished))


def reconcile_batches(store: ObjectStore, launcher: BatchLauncher, now: AwareDatetime) -> bool:
    """Start the process of the oldest pending batch, or the next; return whether one is pending.

    Raises:
        LauncherUnavailable: If a process cannot be started now.
    """
    for batch in pending_batches(store):
        for attempt in range(1, MAX_ATTEMPTS + 1):
            execution = launcher.find(f"{batch.batch_id}-{attempt}")
            if execution is None:
                launcher.start(f"{batch.batch_id}-{attempt}", "")
            if execution in {None, Execution.ACTIVE}:
                return True
        reason = f"{MAX_ATTEMPTS} processes ended before the file was classified; their logs name the reason"
        write_result(store, BatchResult(batch_id=batch.batch_id, done=False, reason=reason, finished=now))
    return False


def _read(store: ObjectStore, key: str) -> UploadedBatch | None:
    try:
        return UploadedBatch.from_json(store.get(key), key)
    except ObjectNotFound:
        return None


def _user_prefix(user: str) -> str:
    """Return the prefix of a user's batches; a name may have any characters."""
    return f"{REQUESTS}{hashlib.blake2b(user.encode(), digest_size=16).hexdigest()}/"
