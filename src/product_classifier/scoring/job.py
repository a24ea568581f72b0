"""A scoring job: its plan, and the objects below its prefix.

job.json                       the plan, written once; the cut into shards is never computed again
input/<shard>.parquet          products of a shard, deleted when the job is complete
claims/<execution>/<shard>     which worker of one execution scores a shard
parts/<shard>-<sha256>.parquet predictions of a shard
receipts/<shard>.json          commit marker of a shard: names its part and its rejects
rejects.csv, _complete.json    written last; a reader uses the parts that `_complete.json` names
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from product_classifier.errors import InvalidSettings, ObjectExists, ObjectNotFound, ScoringError
from product_classifier.store import ObjectStore, open_store

PLAN: Final = "job.json"
COMPLETE: Final = "_complete.json"
REJECTS: Final = "rejects.csv"
_INPUT: Final = "input/"
_RECEIPTS: Final = "receipts/"


@dataclass(frozen=True, slots=True)
class Shard:
    """Consecutive rows of the source that one worker scores at a time."""

    number: int
    rows: int
    file: str
    """File of the first row."""
    line: int
    """Line of the first row."""
    sha256: str
    """Digest of its object below `input/`."""

    @property
    def name(self) -> str:
        """Return its number as it stands in keys."""
        return f"{self.number:06}"


@dataclass(frozen=True, slots=True)
class JobIdentity:
    """What a job depends on: two with equal identities give equal results."""

    release: str
    taxonomy: str
    """Digest of the release's taxonomy."""
    source: str
    """Digest of names, sizes and versions of the source's files."""
    layout: str
    """Digest of the layout that the columns were read by."""


@dataclass(frozen=True, slots=True)
class ScoringJob:
    """The plan of a job."""

    identity: JobIdentity
    shards: tuple[Shard, ...]
    rejects: tuple[dict[str, Any], ...] = ()
    """Rows of the source that are no products."""

    @property
    def rows(self) -> int:
        """Return the number of products to score."""
        return sum(shard.rows for shard in self.shards)


@dataclass(frozen=True, slots=True)
class Receipt:
    """Says that a shard is scored; written once, after its part."""

    identity: JobIdentity
    shard: int
    part: str
    """Key of the part below the job's prefix."""
    scored: int
    accepted: int
    without_photo: int
    """Products scored by their text because their photo could not be used."""
    cpu_s: float
    rejects: list[dict[str, Any]] = field(default_factory=list)


class JobFolder:
    """The objects of one job in an object store."""

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        """Take the prefix of the job: empty, or ending with a slash."""
        self.store = store
        self.prefix = prefix

    def get(self, key: str) -> bytes:
        """Return an object of the job; raise `ObjectNotFound` if there is none."""
        return self.store.get(self.prefix + key)

    def put(self, key: str, data: bytes) -> None:
        """Write an object of the job."""
        self.store.put(self.prefix + key, data)

    def delete_input(self) -> None:
        """Delete the products of all shards, and the claims."""
        for folder in (_INPUT, "claims/"):
            for key in list(self.store.list(self.prefix + folder)):
                self.store.delete(key)

    def input_key(self, shard: int) -> str:
        """Return the key of a shard's products."""
        return f"{_INPUT}{shard:06}.parquet"

    def claim(self, execution: str, shard: Shard) -> bool:
        """Return whether this worker is the first of its execution that claims a shard."""
        try:
            self.store.put(f"{self.prefix}claims/{execution}/{shard.name}", b"", only_if_absent=True)
        except ObjectExists:
            return False
        return True

    def write_plan(self, job: ScoringJob) -> None:
        """Write the plan; it is the commit marker of the input."""
        self.put(PLAN, json.dumps(asdict(job), ensure_ascii=False).encode())

    def read_plan(self) -> ScoringJob | None:
        """Return the plan; None before it is written."""
        try:
            values = json.loads(self.get(PLAN))
        except ObjectNotFound:
            return None
        try:
            shards = tuple(Shard(**shard) for shard in values["shards"])
            return ScoringJob(JobIdentity(**values["identity"]), shards, tuple(values["rejects"]))
        except (KeyError, TypeError) as error:
            raise ScoringError(
                f"{PLAN}: is not the plan of a scoring job of this version; give another RESULT"
            ) from error

    def require_plan(self) -> ScoringJob:
        """Return the plan; raise `ScoringError` before it is written."""
        if (job := self.read_plan()) is None:
            raise ScoringError(f"{PLAN}: there is none below {self.prefix!r}; plan the job first")
        return job

    def write_receipt(self, receipt: Receipt) -> None:
        """Write a receipt unless another worker has finished the shard."""
        data = json.dumps(asdict(receipt), ensure_ascii=False).encode()
        try:
            self.store.put(f"{self.prefix}{_RECEIPTS}{receipt.shard:06}.json", data, only_if_absent=True)
        except ObjectExists:
            return

    def finished_shards(self) -> set[int]:
        """Return the numbers of the shards that have a receipt."""
        keys = self.store.list(self.prefix + _RECEIPTS)
        return {int(key.rpartition("/")[2].removesuffix(".json")) for key in keys}

    def receipts(self, shards: Iterable[Shard]) -> list[Receipt]:
        """Return the receipts of shards; raise `ScoringError` if one is missing."""
        found, missing = [], []
        for shard in shards:
            try:
                values = json.loads(self.get(f"{_RECEIPTS}{shard.name}.json"))
            except ObjectNotFound:
                missing.append(shard)
                continue
            found.append(Receipt(**(values | {"identity": JobIdentity(**values["identity"])})))
        if missing:
            first = missing[0]
            raise ScoringError(
                f"{len(missing)} shards have no receipt, the first begins at {first.file} line {first.line};"
                " run the same command again, finished shards are kept"
            )
        return found

    def is_complete(self) -> bool:
        """Return whether every shard is scored and counted."""
        return self.store.exists(self.prefix + COMPLETE)

    def summary(self) -> dict[str, Any]:
        """Return the content of `_complete.json`; raise `ScoringError` while the job is not complete."""
        try:
            found: dict[str, Any] = json.loads(self.get(COMPLETE))
        except ObjectNotFound:
            raise ScoringError(f"{COMPLETE}: the job is not complete; run the same command again") from None
        return found


def open_job_folder(url: str) -> JobFolder:
    """Open the job below `file:///folder` or `s3://bucket/prefix`; a missing folder is created.

    Raises:
        InvalidSettings: If the URL is neither.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.path.startswith("/"):
        return JobFolder(open_store(Path(unquote(parts.path)).as_uri(), create=True), "")
    prefix = parts.path.strip("/")
    if parts.scheme == "s3" and parts.netloc and prefix:
        return JobFolder(open_store(f"s3://{parts.netloc}"), f"{prefix}/")
    raise InvalidSettings(f"RESULT: {url!r:.120} names no place; use a folder, file:///folder or s3://bucket/prefix")
