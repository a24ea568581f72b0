"""Trusted corrections beyond the watermark: how many there are, and the claim of a run that uses them.

    progress = LabelProgress(index, run_store)
    progress.update()
    if progress.count() >= minimum:
        progress.claim(generation, cause="threshold", requested_by="trigger", now=now)

The watermark is the snapshot of the newest successful run. The index holds its products and codes, so it is read once.
"""

from collections.abc import Iterator
from datetime import datetime

from product_classifier.errors import InvalidInput, ObjectNotFound
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.retraining.run_records import Cause, Claim, make_run_id_of_sorted
from product_classifier.retraining.run_store import RunStore
from product_classifier.retraining.snapshot import read_items, write_sorted_snapshot


class LabelProgress:
    """The labels of an index, compared with the watermark of a run store."""

    def __init__(self, index: FeedbackIndex, run_store: RunStore) -> None:
        self._index = index
        self._run_store = run_store

    def update(self) -> None:
        """Read the watermark if a run has succeeded since the last call.

        Raises:
            StoreUnavailable: If the store cannot be reached.
            IndexUnavailable: If the index cannot be written.
        """
        for claim in self._run_store.succeeded():
            if claim.run_id in self._run_store.damaged:
                continue
            if claim.snapshot == self._index.watermark:
                return
            try:
                self._index.set_watermark(claim.snapshot, self._trained(claim.snapshot))
            except (InvalidInput, ObjectNotFound) as error:
                self._run_store.damaged[claim.run_id] = str(error)  # an older watermark only repeats some labels
                continue
            return
        if self._index.watermark:
            self._index.set_watermark("", ())

    def count(self) -> int:
        """Return the number of labels beyond the watermark of the last `update`."""
        return self._index.new_label_count()

    def claim(self, generation: int, *, cause: Cause, requested_by: str, now: datetime) -> Claim:
        """Write a snapshot of all labels and claim run number `generation`.

        Raises:
            ObjectExists: If the run is already claimed.
        """
        with self._index.open_labels() as labels:
            claim = Claim(
                generation=generation,
                run_id=make_run_id_of_sorted(generation, labels.new_ids()),
                cause=cause,
                requested_by=requested_by,
                snapshot=write_sorted_snapshot(self._run_store.store, labels),
                corrections=labels.new_count(),
                created=now,
            )
        self._run_store.write_claim(claim)
        return claim

    def _trained(self, snapshot: str) -> Iterator[tuple[str, str]]:
        for item in read_items(self._run_store.store, snapshot):
            code = self._index.taxonomy.read(item.code, item.taxonomy_version).code
            if code is not None:
                yield item.product_key, code
