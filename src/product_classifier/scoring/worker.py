"""Score the shards of a job."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from product_classifier.catalogue.catalogue_rows import RejectedRow, shorten
from product_classifier.errors import ScoringError
from product_classifier.releases.product_models import ProductModels, ProductScores
from product_classifier.scoring.job import JobFolder, Receipt, ScoringJob, Shard
from product_classifier.scoring.planning import reject_values
from product_classifier.scoring.shard_files import predictions_to_bytes, read_products

BATCH: Final = 64
"""Products that the models score at once, as in the offline replay."""

ReadPhotos = Callable[[Sequence[str]], Sequence[bytes | str]]
"""Returns the content of photos by path or URL, or the reason why there is none."""


def run_worker(
    folder: JobFolder,
    models: ProductModels,
    read_photos: ReadPhotos,
    execution: str,
    position: float = 0.0,
    on_scored: Callable[[Shard], None] = lambda _: None,
) -> int:
    """Score the shards that have neither a receipt nor a claim of this execution; return how many.

    Any number of workers may run at once, in any number of executions: two that score one shard write equal parts, and
    the first receipt counts.

    Args:
        folder: The job.
        models: The models of the job's release.
        read_photos: Reads the photos of products.
        execution: Id that the workers started together share.
        position: Where among the shards this worker starts, from 0 to 1.
        on_scored: Called after each shard.

    Raises:
        ScoringError: If the models are not of the job's release, or an input was changed.
    """
    job = folder.require_plan()
    release = models.release
    if (release.id, release.taxonomy.digest) != (job.identity.release, job.identity.taxonomy):
        raise ScoringError(
            f"the job was planned for release {job.identity.release}, the worker has {release.id}; give it the"
            " release of the job"
        )
    finished = folder.finished_shards()
    start = int(position * len(job.shards))
    scored = 0
    for shard in (*job.shards[start:], *job.shards[:start]):
        if shard.number not in finished and folder.claim(execution, shard):
            folder.write_receipt(score_shard(folder, job, shard, models, read_photos))
            on_scored(shard)
            scored += 1
    return scored


def score_shard(
    folder: JobFolder, job: ScoringJob, shard: Shard, models: ProductModels, read_photos: ReadPhotos
) -> Receipt:
    """Write the part of a shard, and return its receipt; a row that cannot be scored is a reject."""
    began = time.process_time()
    data = folder.get(folder.input_key(shard.number))
    if hashlib.sha256(data).hexdigest() != shard.sha256:
        raise ScoringError(
            f"{folder.input_key(shard.number)}: was changed after the plan; delete RESULT and start again"
        )
    products = read_products(data)
    found = _Predictions()
    for start in range(0, products.num_rows, BATCH):
        _Batch(products.slice(start, BATCH), start).score(models, read_photos, found)
    kept = products.take(pa.array(found.rows, pa.int64())) if len(found.rows) < products.num_rows else products
    accepted = np.array(found.accepted, np.bool_)
    part = predictions_to_bytes(
        kept,
        models.release.taxonomy,
        models.release.id,
        np.array(found.best, np.int64),
        np.array(found.confidence, np.float32),
        accepted,
        np.array(found.modalities, np.int64),
        found.notes,
    )
    key = f"parts/{shard.name}-{hashlib.sha256(part).hexdigest()[:16]}.parquet"
    folder.put(key, part)
    cpu_s = time.process_time() - began
    return Receipt(
        job.identity,
        shard.number,
        key,
        len(found.rows),
        int(accepted.sum()),
        sum(map(bool, found.notes)),
        round(cpu_s, 3),
        found.rejects,
    )


@dataclass(slots=True)
class _Predictions:
    """Predictions of a shard so far, by the row of its products."""

    rows: list[int] = field(default_factory=list)
    best: list[int] = field(default_factory=list)
    confidence: list[float] = field(default_factory=list)
    accepted: list[bool] = field(default_factory=list)
    modalities: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rejects: list[dict[str, Any]] = field(default_factory=list)

    def add(self, rows: NDArray[np.int64], scores: ProductScores, notes: Sequence[str]) -> None:
        """Add the products with text or photo of a batch."""
        at = np.flatnonzero(scores.with_input)
        probabilities = scores.probabilities[at]
        best = probabilities.argmax(axis=1)
        self.rows += rows[at].tolist()
        self.best += best.tolist()
        self.confidence += probabilities[np.arange(len(at)), best].tolist()
        self.accepted += scores.accepted[at].tolist()
        self.modalities += (scores.has_text[at] + 2 * scores.has_image[at]).tolist()
        self.notes += [notes[row] for row in at.tolist()]

    def reject(self, place: dict[str, Any], name: str, value: str, reason: str) -> None:
        """Add a row without a prediction."""
        row = RejectedRow(place["file"], place["line"], name, shorten(value), reason)
        self.rejects.append(reject_values(row))


@dataclass(frozen=True, slots=True)
class _Batch:
    products: pa.Table
    start: int
    """Row of the first product in the shard."""

    def score(self, models: ProductModels, read_photos: ReadPhotos, found: _Predictions) -> None:
        """Add the predictions of the batch; if the models fail, each product by itself."""
        notes = self.products["note"].to_pylist()
        try:
            scores = models.score(
                self.products["designation"].to_pylist(),
                self.products["description"].to_pylist(),
                self._photos(read_photos, notes),
            )
        except Exception as error:  # noqa: BLE001 - one row never fails a job
            self._score_one_by_one(error, models, read_photos, found)
            return
        for row, problem in scores.photo_problems.items():
            notes[row] = f"photo not used: {problem}"
        found.add(self.start + np.arange(self.products.num_rows), scores, notes)
        for row in np.flatnonzero(~scores.with_input).tolist():
            place = self.products.slice(row, 1).to_pylist()[0]
            found.reject(place, "photo", place["photo"], notes[row] or "neither text nor photo")

    def _photos(self, read_photos: ReadPhotos, notes: list[str]) -> list[bytes]:
        names = self.products["photo"].to_pylist()
        wanted = list(dict.fromkeys(filter(None, names)))
        if not wanted:
            return [b""] * len(names)
        content = dict(zip(wanted, read_photos(wanted), strict=True))
        photos = []
        for row, name in enumerate(names):
            photo = content.get(name, b"")
            if isinstance(photo, str):
                notes[row], photo = f"photo not used: {photo}", b""
            photos.append(photo)
        return photos

    def _score_one_by_one(
        self, error: Exception, models: ProductModels, read_photos: ReadPhotos, found: _Predictions
    ) -> None:
        if self.products.num_rows == 1:
            place = self.products.to_pylist()[0]
            found.reject(
                place, "row", place["designation"], f"cannot be classified: {type(error).__name__} {error!s:.80}"
            )
            return
        for row in range(self.products.num_rows):
            _Batch(self.products.slice(row, 1), self.start + row).score(models, read_photos, found)
