"""Quality of a window: what calibrated confidence lets expect, and what corrections show.

Corrections are no random sample: people correct what looks wrong, and the queue offers what is uncertain. So the
realised accuracy is weighted back by confidence: within a band of confidence the corrected predictions stand for all.
What remains is that within a band wrong predictions are corrected more often, which makes it a lower estimate.
"""

from collections import defaultdict
from collections.abc import Sequence
from math import sqrt
from typing import Final

import numpy as np

from product_classifier.monitoring.drift_windows import DriftMeasure, Mover
from product_classifier.monitoring.logged_window import LabelledPrediction, LoggedWindow

BANDS: Final = (0.0, 0.5, 0.7, 0.85, 0.95, 1.01)
"""Edges of the bands of confidence."""
MIN_CORRECTED: Final = 20
"""Corrected predictions below which no accuracy is estimated."""
MIN_OF_CATEGORY: Final = 5
WORST: Final = 5
_Z: Final = 1.96
"""Of a 95 % interval."""


def measure_quality(window: LoggedWindow, reference_accuracy: float | None) -> tuple[DriftMeasure, ...]:
    """Return expected accuracy, acceptance, realised accuracy and calibration error of a window.

    Args:
        window: The predictions and what was corrected of them.
        reference_accuracy: Accuracy of the release's out-of-fold predictions; None if it has no reference.
    """
    confidence = np.array([one.confidence for one in window.predictions.values()])
    accepted = np.array([one.accepted for one in window.predictions.values()])
    count = len(confidence)
    return (
        DriftMeasure(
            name="expected_accuracy",
            statistic="mean",
            value=float(confidence.mean()) if count else None,
            products=count,
            reference=reference_accuracy,
            note="mean calibrated confidence; needs no labels",
        ),
        DriftMeasure(
            name="acceptance_rate",
            statistic="share",
            value=float(accepted.mean()) if count else None,
            products=count,
            note="accepted without review",
        ),
        _realised(window, reference_accuracy),
        _calibration(window.corrected),
    )


def worst_categories(corrected: Sequence[LabelledPrediction]) -> tuple[Mover, ...]:
    """Return predicted categories by realised accuracy, the lowest first, with their mean confidence."""
    by_code: defaultdict[str, list[LabelledPrediction]] = defaultdict(list)
    for one in corrected:
        by_code[one.prediction.code].append(one)
    found = [
        Mover(
            name=code,
            reference=float(np.mean([one.prediction.confidence for one in group])),
            window=float(np.mean([one.correct for one in group])),
        )
        for code, group in by_code.items()
        if len(group) >= MIN_OF_CATEGORY
    ]
    return tuple(sorted(found, key=lambda one: (one.window or 0.0, one.name))[:WORST])


def _realised(window: LoggedWindow, reference: float | None) -> DriftMeasure:
    corrected = window.corrected
    wrong = sum(not one.correct for one in corrected)
    total = len(window.predictions)
    trusted = sum(one.trusted for one in corrected)
    note = (
        f"{len(corrected)} of {total} predictions have a correction, {trusted} a trusted one, "
        f"{wrong} another category; "
        "people correct what looks wrong, so this is a lower estimate, weighted by confidence"
    )
    if len(corrected) < MIN_CORRECTED:
        note = f"{len(corrected)} of {total} predictions have a correction; {MIN_CORRECTED} are needed"
        return DriftMeasure(
            name="realised_accuracy",
            statistic="mean",
            value=None,
            products=len(corrected),
            reference=reference,
            note=note,
        )
    estimate, error = _weighted(window)
    return DriftMeasure(
        name="realised_accuracy",
        statistic="mean",
        value=estimate,
        products=len(corrected),
        reference=reference,
        low=max(0.0, estimate - _Z * error),
        high=min(1.0, estimate + _Z * error),
        note=note,
    )


def _weighted(window: LoggedWindow) -> tuple[float, float]:
    """Return accuracy and its standard error, bands of confidence weighted by their share of all predictions."""
    everything = np.digitize([one.confidence for one in window.predictions.values()], BANDS)
    bands = np.digitize([one.prediction.confidence for one in window.corrected], BANDS)
    correct = np.array([one.correct for one in window.corrected], float)
    estimate = variance = weight = 0.0
    for band in np.unique(bands):
        share = float(np.mean(everything == band))
        rows = correct[bands == band]
        smoothed = (rows.sum() + 1) / (len(rows) + 2)
        estimate += share * float(rows.mean())
        variance += share**2 * smoothed * (1 - smoothed) / len(rows)
        weight += share
    return estimate / weight, sqrt(variance) / weight


def _calibration(corrected: Sequence[LabelledPrediction]) -> DriftMeasure:
    """Return the expected calibration error of the corrected predictions."""
    note = "of the corrected predictions: mean difference of confidence and accuracy in bands of confidence"
    if len(corrected) < MIN_CORRECTED:
        return DriftMeasure(name="calibration_error", statistic="ece", value=None, products=len(corrected), note=note)
    confidence = np.array([one.prediction.confidence for one in corrected])
    correct = np.array([one.correct for one in corrected], float)
    bands = np.digitize(confidence, BANDS)
    gaps = [
        abs(correct[bands == band].mean() - confidence[bands == band].mean()) * np.mean(bands == band)
        for band in np.unique(bands)
    ]
    return DriftMeasure(
        name="calibration_error", statistic="ece", value=float(sum(gaps)), products=len(corrected), note=note
    )
