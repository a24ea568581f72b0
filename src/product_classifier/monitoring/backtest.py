"""A challenger on logged traffic: what it returns for the products that the champion predicted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import AwareDatetime

from product_classifier.feedback.records import PredictionRecord, Record
from product_classifier.monitoring.logged_window import LoggedWindow
from product_classifier.releases.product_models import ProductModels
from product_classifier.store import ObjectStore

PREFIX: Final = "reports/backtests/"
CHANGES: Final = 10


@dataclass(frozen=True, slots=True)
class LoggedProduct:
    """A logged prediction with its photo, empty without one."""

    record: PredictionRecord
    photo: bytes


class CategoryChange(Record):
    """How often the challenger has another category than the champion."""

    champion: str
    challenger: str
    products: int


class Backtest(Record):
    """The report, `reports/backtests/<challenger>.json`."""

    challenger: str
    champion: str
    since: AwareDatetime
    until: AwareDatetime
    products: int
    """Logged products that both classified; a sample of many."""
    agreement: float
    """Share with the same category."""
    champion_accepted: float
    challenger_accepted: float
    """Share that is accepted without review."""
    champion_confidence: float
    challenger_confidence: float
    corrected: int
    """Products of the sample with a correction; the accuracies are on these only, and a lower estimate."""
    champion_correct: float | None
    challenger_correct: float | None
    changes: tuple[CategoryChange, ...]

    @property
    def key(self) -> str:
        """Key of the object."""
        return f"{PREFIX}{self.challenger}.json"


def backtest(
    models: ProductModels,
    products: Sequence[LoggedProduct],
    window: LoggedWindow,
    since: AwareDatetime,
    until: AwareDatetime,
) -> Backtest | None:
    """Classify logged products with the challenger and compare; None without a product.

    Args:
        models: The challenger.
        products: Logged predictions of the champion.
        window: The window they are of, with the corrections.
        since: Start of the window.
        until: End of the window.
    """
    scores = models.score(
        [one.record.product.designation for one in products],
        [one.record.product.description for one in products],
        [one.photo for one in products],
    )
    rows = [row for row in range(len(products)) if scores.with_input[row]]
    if not rows:
        return None
    codes = models.release.taxonomy.codes
    records = [products[row].record for row in rows]
    predicted = [codes[int(scores.probabilities[row].argmax())] for row in rows]
    given = window.corrections_by_id
    labelled = [
        (record, code, given[record.prediction_id])
        for record, code in zip(records, predicted, strict=True)
        if record.prediction_id in given
    ]
    return Backtest(
        challenger=models.release.id,
        champion=window.release,
        since=since,
        until=until,
        products=len(rows),
        agreement=_share([record.code == code for record, code in zip(records, predicted, strict=True)]),
        champion_accepted=_share([record.decision == "accept" for record in records]),
        challenger_accepted=_share([bool(scores.accepted[row]) for row in rows]),
        champion_confidence=_share([record.confidence for record in records]),
        challenger_confidence=_share([float(scores.probabilities[row].max()) for row in rows]),
        corrected=len(labelled),
        champion_correct=_share([record.code == right for record, _, right in labelled]) if labelled else None,
        challenger_correct=_share([code == right for _, code, right in labelled]) if labelled else None,
        changes=_changes(records, predicted),
    )


def write_backtest(store: ObjectStore, report: Backtest) -> None:
    """Store a report in place of an earlier one of the challenger."""
    store.put(report.key, report.to_json())


def _share(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _changes(records: Sequence[PredictionRecord], predicted: Sequence[str]) -> tuple[CategoryChange, ...]:
    counts: dict[tuple[str, str], int] = {}
    for record, code in zip(records, predicted, strict=True):
        if record.code != code:
            counts[record.code, code] = counts.get((record.code, code), 0) + 1
    ordered: Sequence[tuple[tuple[str, str], int]] = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return tuple(CategoryChange(champion=pair[0], challenger=pair[1], products=n) for pair, n in ordered[:CHANGES])
