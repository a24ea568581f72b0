"""What to label next, and why: from predictions, corrections and entries of pipelines."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from product_classifier.catalogue.content_keys import content_keys
from product_classifier.errors import ObjectNotFound, StoreUnavailable
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.index_rows import IndexedCorrection
from product_classifier.feedback.prediction_index import PredictionIndex
from product_classifier.feedback.prediction_rows import IndexedPrediction
from product_classifier.feedback.queue_records import ENTRIES_PREFIX, QueueEntry, QueueReason
from product_classifier.feedback.records import ProductContent
from product_classifier.feedback.review_queue import QueuedPrediction, build_queue
from product_classifier.feedback.trust import agreement_key
from product_classifier.observability import get_logger
from product_classifier.store import ObjectStore
from product_classifier.text.normalization import normalize

WINDOW = timedelta(days=30)
"""Age of the oldest predictions that are offered."""
MAX_CANDIDATES = 200
"""Candidates of one reason."""
MAX_READ = 4000
"""Predictions that are compared for the candidates of one reason; those with a correction are passed over for good."""

log = get_logger()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A product to label."""

    item_id: str
    reason: QueueReason
    detail: str = ""
    score: float | None = None
    prediction_id: str | None = None
    feedback_id: str | None = None
    """The correction that is to be decided again, or that another one contradicts."""
    product: ProductContent | None = None
    """None if it is that of the prediction."""
    label: str | None = None
    suggested: str | None = None
    taxonomy_version: int | None = None
    """Version of the taxonomy that `label` and `suggested` are of; None is the first."""


class CandidateSource:
    """Collects candidates; each method reads a bounded number of rows or objects."""

    def __init__(
        self,
        store: ObjectStore,
        predictions: PredictionIndex,
        corrections: FeedbackIndex,
        more_entries: Callable[[], Iterable[QueueEntry]] = tuple,
    ) -> None:
        """Take where candidates are, and a function that returns entries which are not stored one by one."""
        self._store = store
        self._predictions = predictions
        self._corrections = corrections
        self._more_entries = more_entries

    def collect(self, now: datetime) -> list[Candidate]:
        """Return the candidates of all reasons: the first of each reason, then the second of each, and so on."""
        groups = [
            self._split(),
            self._users_disagree(),
            *self._entries(),
            self._uncertain(now - WINDOW),
            self._models_disagree(now - WINDOW),
        ]
        found: dict[str, Candidate] = {}
        for position in range(MAX_CANDIDATES):
            for group in groups:
                if position < len(group):
                    found.setdefault(group[position].item_id, group[position])
        return list(found.values())

    def _uncertain(self, since: datetime) -> list[Candidate]:
        """Return the least confident predictions without a correction, one for each group of near copies."""
        rows = {one.prediction_id: one for one in self._unlabelled(self._predictions.uncertain(since, MAX_READ))}
        queue = build_queue((_queued(one) for one in rows.values()), MAX_CANDIDATES)
        return [_of_prediction(rows[one.prediction_id], "uncertain", one.reason) for one in queue]

    def _models_disagree(self, since: datetime) -> list[Candidate]:
        """Return the newest predictions without a correction whose text and photo have different categories."""
        rows = self._unlabelled(self._predictions.differing(since, MAX_READ))
        return [_of_prediction(one, "models_disagree", "text and photo") for one in rows[:MAX_CANDIDATES]]

    def _unlabelled(self, found: Sequence[IndexedPrediction]) -> list[IndexedPrediction]:
        """Return the predictions that nobody labelled; the index passes over the others from now on."""
        given = self._corrections.of_predictions([one.prediction_id for one in found])
        labelled = {key for key, items in given.items() if any(item.state != "withdrawn" for item in items)}
        if labelled:
            self._predictions.mark_labelled(labelled)
        return [one for one in found if one.prediction_id not in labelled]

    def _split(self) -> list[Candidate]:
        """Return corrections of categories that a change of the taxonomy split."""
        return [_of_correction(one, "split") for one in self._corrections.undecided(MAX_CANDIDATES)]

    def _users_disagree(self) -> list[Candidate]:
        """Return products whose users name different categories, none of which is trusted."""
        return [_of_correction(one, "users_disagree") for one in self._corrections.contradicted(MAX_CANDIDATES)]

    def _entries(self) -> Iterator[list[Candidate]]:
        """Yield the entries of each reason in the store, those with the greatest score first."""
        groups: dict[QueueReason, list[QueueEntry]] = {}
        for key in islice(self._store.list(ENTRIES_PREFIX), MAX_READ):
            try:
                entry = QueueEntry.from_json(self._store.get(key), key)
            except ObjectNotFound:
                continue
            except StoreUnavailable as error:
                log.warning("queue_entry_damaged", key=key, reason=str(error))
                continue
            groups.setdefault(entry.reason, []).append(entry)
        for entry in self._more_entries():
            groups.setdefault(entry.reason, []).append(entry)
        for entries in groups.values():
            ordered = sorted(entries, key=lambda one: (-(one.score or 0.0), one.entry_id))
            unanswered = (_of_entry(one) for one in ordered if not self._is_answered(one))
            yield list(islice(unanswered, MAX_CANDIDATES))

    def _is_answered(self, entry: QueueEntry) -> bool:
        """Return whether a correction was submitted since the entry was written."""
        if entry.prediction_id is not None:
            given = self._corrections.of_predictions([entry.prediction_id])
            return any(one.created >= entry.created for items in given.values() for one in items)
        newest = None if entry.product is None else self._corrections.newest_of_product(agreement_key(entry.product))
        return newest is not None and newest >= entry.created


def _queued(one: IndexedPrediction) -> QueuedPrediction:
    product = one.product
    keys = content_keys(product.designation, product.description, product.image_sha256 or "")
    text = normalize(product.designation, product.description)
    return QueuedPrediction(one.prediction_id, one.confidence, one.code, keys, text)


def _of_prediction(one: IndexedPrediction, reason: QueueReason, detail: str) -> Candidate:
    return Candidate(one.prediction_id, reason, detail, 1 - one.confidence, one.prediction_id)


def _of_correction(one: IndexedCorrection, reason: QueueReason) -> Candidate:
    return Candidate(
        one.feedback_id,
        reason,
        prediction_id=one.prediction_id,
        feedback_id=one.feedback_id,
        product=one.product,
        label=one.code,
        taxonomy_version=one.taxonomy_version,
    )


def _of_entry(one: QueueEntry) -> Candidate:
    return Candidate(
        one.entry_id,
        one.reason,
        one.detail,
        one.score,
        one.prediction_id,
        product=one.product,
        label=one.label,
        suggested=one.suggested,
        taxonomy_version=one.taxonomy_version,
    )
