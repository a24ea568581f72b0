"""The queue has the least confident predictions, each product once, whatever the order of the records."""

import tracemalloc
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_classifier.feedback.review_queue import CANDIDATES, QueuedPrediction, build_queue


def prediction(number: int, confidence: float, *keys: str, text: str = "") -> QueuedPrediction:
    return QueuedPrediction(f"{number:032x}", confidence, 10, keys or (f"text:{number}",), text)


@given(st.lists(st.integers(0, 100), unique=True, max_size=80), st.integers(1, 10), st.randoms())
def test_the_least_confident_come_first_in_any_order(values: list[int], limit: int, random: Random) -> None:
    predictions = [prediction(value, value / 100) for value in values]
    random.shuffle(predictions)

    assert sorted(values)[:limit] == [round(one.confidence * 100) for one in build_queue(predictions, limit)]


def test_near_copies_come_once() -> None:
    predictions = [
        prediction(1, 0.2, "text:a", text="piscine gonflable ronde bleue"),
        prediction(2, 0.1, "text:a", text="piscine gonflable ronde bleue"),
        prediction(3, 0.3, "text:b", text="piscine gonflable bleue ronde"),
        prediction(4, 0.4, "text:c", "photo:x", text="livre"),
        prediction(5, 0.5, "photo:x"),
        prediction(6, 0.6, "text:d", text="console"),
    ]

    assert [2, 4, 6] == [int(one.prediction_id, 16) for one in build_queue(predictions, 10)]


def test_of_equally_confident_predictions_the_oldest_comes_first() -> None:
    predictions = [prediction(number, 0.5) for number in (3, 1, 2)]

    assert [1, 2] == [int(one.prediction_id, 16) for one in build_queue(predictions, 2)]


def test_an_entry_names_its_reason() -> None:
    assert "confidence 0.12" == prediction(1, 0.123).reason


def test_memory_does_not_grow_with_the_predictions() -> None:
    limit, peaks = 20, []
    for count in (2_000, 20_000):
        random = Random(1)
        tracemalloc.start()
        assert limit == len(build_queue((prediction(one, random.random()) for one in range(count)), limit))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] < 2 * peaks[0]
    assert peaks[1] < 5_000 * CANDIDATES * limit


@pytest.mark.parametrize("predictions", [[], [prediction(1, 0.5)]])
def test_fewer_predictions_than_the_limit_are_all_returned(predictions: list[QueuedPrediction]) -> None:
    assert predictions == build_queue(predictions, 5)
