"""Reads the predictions of a window from the prediction log, and the corrections of them."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any

from product_classifier.feedback.prediction_log.log_reader import read_records, read_tables
from product_classifier.feedback.prediction_log.log_schema import from_row
from product_classifier.feedback.records import Correction, PredictionRecord, Review, Revision
from product_classifier.feedback.trust import TRUSTED_STATES, State, last_decisions, product_states
from product_classifier.store import ObjectStore

COUNTED_STATES: frozenset[State] = TRUSTED_STATES | {"pending"}
"""States of corrections that say something of the prediction: neither rejected nor taken back."""
COLUMNS = ("id", "code", "confidence", "decision", "release", "taxonomy_version")


@dataclass(frozen=True, slots=True)
class LoggedPrediction:
    """What the quality of a window needs of a prediction."""

    code: str
    confidence: float
    accepted: bool


@dataclass(frozen=True, slots=True)
class LabelledPrediction:
    """A prediction with a correction: the given category, and whether the correction is trusted."""

    prediction_id: str
    prediction: LoggedPrediction
    code: str
    trusted: bool

    @property
    def correct(self) -> bool:
        """Whether the given category is the predicted one."""
        return self.code == self.prediction.code


@dataclass(frozen=True, slots=True)
class LoggedWindow:
    """The predictions of one release in a time span."""

    release: str
    predictions: Mapping[str, LoggedPrediction]
    """By id."""
    other_releases: Mapping[str, int]
    """Number of predictions in the span by other releases."""
    corrected: Sequence[LabelledPrediction]

    @property
    def corrections_by_id(self) -> Mapping[str, str]:
        """Category given for the predictions that have a correction, by id."""
        return {one.prediction_id: one.code for one in self.corrected}


def newest_release(store: ObjectStore, since: datetime, until: datetime) -> str:
    """Return the release of the newest prediction of a time span; empty without one."""
    newest = ("", "")
    for table in read_tables(store, since, "prediction", until, ("kind", "created", "id", "release")):
        newest = max(newest, *zip(table["id"].to_pylist(), table["release"].to_pylist(), strict=True))
    return newest[1]


def read_window(store: ObjectStore, since: datetime, until: datetime, release: str) -> LoggedWindow:
    """Return the predictions of a release from `since` on and before `until`."""
    predictions: dict[str, LoggedPrediction] = {}
    others: Counter[str] = Counter()
    for table in read_tables(store, since, "prediction", until, ("kind", "created", *COLUMNS)):
        for row in table.to_pylist():
            if row["release"] == release:
                found = LoggedPrediction(row["code"], row["confidence"], row["decision"] == "accept")
                predictions[row["id"]] = found
            else:
                others[row["release"]] += 1
    return LoggedWindow(release, predictions, dict(others), list(_corrected(store, since, predictions)))


def sample_records(
    store: ObjectStore, since: datetime, until: datetime, window: LoggedWindow, limit: int, seed: int
) -> list[PredictionRecord]:
    """Return at most `limit` whole records of a window, chosen at random, in the order of their ids."""
    ids = sorted(window.predictions)
    chosen = set(Random(seed).sample(ids, min(limit, len(ids))))  # noqa: S311 - repeatable, not secret
    found: list[PredictionRecord] = []
    for table in read_tables(store, since, "prediction", until):
        rows: list[dict[str, Any]] = [row for row in table.to_pylist() if row["id"] in chosen]
        found += _records(rows)
    return sorted(found, key=lambda record: record.prediction_id)


def _records(rows: Sequence[dict[str, Any]]) -> Iterator[PredictionRecord]:

    for row in rows:
        record = from_row(row)
        if isinstance(record, PredictionRecord):
            yield record


def _corrected(
    store: ObjectStore, since: datetime, predictions: Mapping[str, LoggedPrediction]
) -> Iterator[LabelledPrediction]:
    """Yield the predictions that have a correction, each once: a trusted one before others, then the newest."""
    given: defaultdict[str, list[Correction]] = defaultdict(list)
    for record in read_records(store, since.date(), "correction"):
        if isinstance(record, Correction) and record.prediction_id in predictions:
            given[str(record.prediction_id)].append(record)
    reviews = {
        record.feedback_id: record
        for record in read_records(store, since.date(), "review")
        if isinstance(record, Review)
    }
    revisions = [one for one in read_records(store, since.date(), "revision") if isinstance(one, Revision)]
    decisions = last_decisions(reviews, revisions)
    for prediction_id, group in given.items():
        states = product_states(group, decisions)
        ranked = sorted(group, key=lambda one: (states[one.feedback_id] in TRUSTED_STATES, one.created))
        kept = [one for one in ranked if states[one.feedback_id] in COUNTED_STATES]
        if kept:
            trusted = states[kept[-1].feedback_id] in TRUSTED_STATES
            yield LabelledPrediction(prediction_id, predictions[prediction_id], kept[-1].code, trusted)
