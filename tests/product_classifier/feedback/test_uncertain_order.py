"""Corrections of the least confident predictions first, page by page, through the index."""

from datetime import UTC, datetime, timedelta

import pytest

from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.feedback.correction_filter import CorrectionFilter
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.index_queries import ORDERS, Order
from product_classifier.feedback.records import (
    Correction,
    Modalities,
    PredictionRecord,
    ProductContent,
    new_id,
)
from tests.support.fakes import FakeStore

NOW = datetime(2030, 5, 5, 12, tzinfo=UTC)
CONFIDENCES = [0.9, 0.2, None, 0.5, 0.2, None, 0.05, 1.0]
"""Of each prediction, None for a correction of a product."""


def fill(store: FakeStore) -> list[str]:
    """Store a correction per confidence; return their ids, the least confident first."""
    ranked = []
    for number, confidence in enumerate(CONFIDENCES):
        created, product = NOW + timedelta(seconds=number), ProductContent(designation=f"Livre {number}")
        prediction_id = None
        if confidence is not None:
            prediction = PredictionRecord(
                prediction_id=(prediction_id := new_id(created)),
                created=created,
                user="ann",
                product=product,
                code=CHALLENGE.codes[0],
                confidence=confidence,
                top=(),
                modalities=Modalities(),
                degraded=False,
                release="r-1",
            )
            store.put(prediction.key, prediction.to_json())
        correction = Correction(
            feedback_id=new_id(created),
            created=created,
            user="ann" if number % 2 else "bob",
            role="user",
            prediction_id=prediction_id,
            product=product,
            code=CHALLENGE.codes[1],
        )
        store.put(correction.key, correction.to_json())
        ranked.append((2.0 if confidence is None else confidence, created, correction.feedback_id))
    return [identifier for _, _, identifier in sorted(ranked)]


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def expected(store: FakeStore) -> list[str]:
    return fill(store)


@pytest.fixture
def index(store: FakeStore, expected: list[str]) -> FeedbackIndex:
    index = FeedbackIndex(store)
    index.refresh()
    assert not index.read_confidences()
    return index


@pytest.mark.parametrize("limit", [1, 2, 3, 8, 100])
def test_the_pages_are_in_order_and_have_each_correction_once(
    index: FeedbackIndex, expected: list[str], limit: int
) -> None:
    found: list[str] = []
    cursor = None
    while True:
        page = index.page(limit=limit, order="uncertain", cursor=cursor)
        found += [item.feedback_id for item in page.items]
        if (cursor := page.next_cursor) is None:
            break

    assert expected == found
    assert len(expected) == page.total


def test_confidences_are_listed_and_unknown_ones_are_none(index: FeedbackIndex) -> None:
    found = [item.confidence for item in index.page(limit=100, order="uncertain").items]

    assert [0.05, 0.2, 0.2, 0.5, 0.9, 1.0, None, None] == found


def test_the_order_is_combined_with_the_filters(index: FeedbackIndex, expected: list[str]) -> None:
    of_ann = [
        item.feedback_id for item in index.page(limit=100, order="uncertain", chosen=CorrectionFilter(user="ann")).items
    ]
    pending = index.page(limit=100, order="uncertain", chosen=CorrectionFilter(user="ann", state="pending")).items

    assert [one for one in expected if one in of_ann] == of_ann
    assert 4 == len(of_ann) == len(pending)


def test_a_confidence_known_when_a_correction_is_added_is_not_read_again(store: FakeStore) -> None:
    fill(store)
    index = FeedbackIndex(store)
    index.refresh()
    correction = next(one for one in index.corrections() if one.prediction_id is not None)
    record = Correction.from_json(store.get(key := f"feedback/dt=2030-05-05/{correction.feedback_id}.json"), key)
    index.add(record, replace=True, confidence=0.75)

    assert 0.75 in [one.confidence for one in index.corrections()]


def test_a_prediction_that_is_missing_sorts_last(store: FakeStore, expected: list[str]) -> None:
    for key in list(store.list("predictions/")):
        store.delete(key)
    index = FeedbackIndex(store)
    index.refresh()
    index.read_confidences()

    page = index.page(limit=100, order="uncertain")
    assert {None} == {item.confidence for item in page.items}
    assert set(expected) == {item.feedback_id for item in page.items}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("filters", [(), ("state",), ("user",), ("user", "state")], ids=str)
def test_a_page_is_read_from_an_index_without_sorting(
    index: FeedbackIndex, order: Order, filters: tuple[str, ...]
) -> None:
    columns, comparison, order_by = ORDERS[order]
    conditions = [f"c.{name} = 'x'" for name in filters]
    values = ", ".join(["1"] * (columns.count(",") + 1))
    conditions.append(f"({columns}) {comparison} ({values})")
    query = f"SELECT c.id FROM corrections c WHERE c.status = 1 AND {' AND '.join(conditions)} {order_by} LIMIT 50"

    with index._database.read() as database:
        plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {query}")]

    name = "_".join(["corrections", *filters, *(["confidence"] if order == "uncertain" else [])])
    name = "corrections_created" if name == "corrections" else name
    assert [f"SEARCH c USING INDEX {name}"] == [line.split(" (")[0].replace("COVERING ", "") for line in plan]
