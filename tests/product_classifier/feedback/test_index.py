from datetime import UTC, datetime

import pytest

from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import StoreUnavailable
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.records import Correction, Review, new_id
from product_classifier.store import ObjectStore
from tests.support.corrections import CountingStore, make_prediction, put
from tests.support.fakes import FakeStore
from tests.support.retraining_fakes import correct


@pytest.mark.parametrize("many", [5, 100])
def test_each_object_is_read_once(many: int) -> None:
    store = CountingStore()
    for product in range(many):
        correct(store, product)
    book = FeedbackIndex(store)
    book.refresh()
    book.refresh()
    correct(store, many)
    book.refresh()

    assert (len(book.labels()), store.reads) == (many + 1, many + 1)


@pytest.mark.parametrize("many", [5, 100])
def test_a_failed_read_is_retried_by_the_next_refresh(many: int) -> None:
    store = CountingStore()
    for product in range(many):
        correct(store, product)
    store.fail_at = many // 2
    book = FeedbackIndex(store)
    with pytest.raises(StoreUnavailable):
        book.refresh()
    book.refresh()

    assert (len(book.labels()), book.damaged) == (many, {})


def blind(store: ObjectStore, prediction_id: str) -> Correction:
    correction = Correction(
        feedback_id=new_id(),
        created=datetime.now(UTC),
        user="rita",
        role="reviewer",
        prediction_id=prediction_id,
        code=CHALLENGE.codes[0],
    )
    store.put(correction.key, correction.to_json())
    return correction


def test_a_correction_without_a_product_is_resolved_once_its_prediction_is_stored() -> None:
    store, prediction_id = FakeStore(), new_id()
    blind(store, prediction_id)
    book = FeedbackIndex(store)
    book.refresh()
    before = book.labels()
    put(store, make_prediction("Chemise", prediction_id=prediction_id))
    book.refresh()

    assert (before, [label.product.designation for label in book.labels()]) == ((), ["Chemise"])


def test_a_correction_of_a_damaged_prediction_is_ignored() -> None:
    store, prediction_id = FakeStore(), new_id()
    blind(store, prediction_id)
    store.put(f"predictions/dt={datetime.now(UTC).date()}/{prediction_id}.json", b"{}")
    book = FeedbackIndex(store)
    book.refresh()

    assert (book.labels(), len(book.corrections())) == ((), 1)


def test_a_review_may_be_read_before_its_correction() -> None:
    store = FakeStore()
    correction = correct(store, 1, user="ann", role="user")
    review = Review(feedback_id=correction.feedback_id, created=datetime.now(UTC), reviewer="r", decision="approved")
    store.put(review.key, review.to_json())
    book = FeedbackIndex(store)
    book.add(review)
    book.refresh()

    assert [label.reason for label in book.labels()] == ["approved"]


def test_a_correction_with_an_unknown_code_is_indexed_as_it_was_given() -> None:
    store = FakeStore()
    unknown = correct(store, 2).model_copy(update={"code": "9999", "predicted": "8888"})
    store.put(unknown.key, unknown.to_json())
    book = FeedbackIndex(store)
    book.refresh()

    assert [(one.code, one.predicted) for one in book.corrections()] == [("9999", "8888")]
    assert not book.damaged
