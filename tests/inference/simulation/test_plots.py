"""Plots of categories whose codes are paths."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest

from inference.simulation import plots
from inference.simulation.prediction_scores import PredictionScores
from product_classifier.top_probabilities import TopProbabilities


def scores(categories: int) -> PredictionScores:
    """Return scores of 200 products in categories with long codes; every third is predicted wrong."""
    labels = np.arange(200) % categories
    predicted = np.where(np.arange(200) % 3 == 0, (labels + 1) % categories, labels)
    codes = tuple(f"Home Decor & Festive Needs > Wall Decor & Clocks > Showpieces {at}" for at in range(categories))
    confidence = TopProbabilities(predicted.astype(np.int32)[:, None], np.full((200, 1), 0.8, np.float32), categories)
    return PredictionScores(codes, confidence, labels)


@pytest.mark.parametrize("categories", [3, 47, 200])
@pytest.mark.parametrize("plot", [plots.f1_by_category, plots.confusion])
def test_long_codes_leave_room_for_the_plot(plot: Callable[[PredictionScores], str], categories: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = plot(scores(categories))

    assert "…" in svg
    assert "Showpieces 0" in svg or categories > 50
