"""Drift: injected changes found in how many products, harmless ones never, quiet windows that alarm."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.drift_products import DRIFTS, HARMLESS, QUIET, ReleasePredictor, make_products
from benchmarks.outcome import Check, Outcome
from product_classifier.monitoring.window_tests import compare_window, window_statistics, window_thresholds

PRODUCTS = 2500
POOL = 3000
WINDOWS = 200
SIZES = (50, 100, 200, 300, 400, 500)
WINDOW = 500
MAX_ALARMS = 2.0


def measure(folder: Path) -> Outcome:
    """Train on the sample catalogue, then compare windows of products that the training has not seen."""
    predictor = ReleasePredictor(_train(folder))
    reference = predictor.profile.products
    found = {}
    for drift in (HARMLESS, *DRIFTS):
        window = predictor.measured(make_products(WINDOW, drift, 2))
        drifted = {
            size: [one.name for one in compare_window(reference, window.take(np.arange(size))) if one.drifted]
            for size in SIZES
        }
        found[drift.name] = drifted
    alarms = _alarms(predictor)
    needed = {name: min((size for size, names in by.items() if names), default=0) for name, by in found.items()}
    missed = [drift.name for drift in DRIFTS if not needed[drift.name]]
    return Outcome(
        ours=f"{alarms} of {WINDOWS} quiet windows alarm",
        peer="—",
        ratio=1.0,
        checks=[
            Check("quiet windows that alarm", float(alarms), "", "≤", MAX_ALARMS),
            Check("injected changes not found in 500 products", float(len(missed)), "", "≤", 0.0),
            Check("sizes at which the harmless change is found", float(needed[HARMLESS.name] > 0), "", "≤", 0.0),
        ],
        details=[
            {
                "change": name,
                "found in products": needed[name] or "never",
                "by": ", ".join(by[needed[name] or WINDOW]),
            }
            for name, by in found.items()
        ],
        note=f"A reference of {len(reference)} products; windows of {WINDOW} products, none of which was trained on.",
    )


def _alarms(predictor: ReleasePredictor) -> int:
    """Return how many quiet windows alarm."""
    reference = predictor.profile.products
    pool = predictor.measured(make_products(POOL, QUIET, 1))
    rng = np.random.default_rng(0)
    windows = [pool.take(rng.permutation(len(pool))[:WINDOW]) for _ in range(WINDOWS)]
    thresholds = window_thresholds(reference, windows[0])
    alarms = 0
    for number, window in enumerate(windows):
        values = window_statistics(reference, window, seed=number)
        pairs = zip(values, thresholds, strict=True)
        alarms += any(value is not None and limit is not None and value > limit for value, limit in pairs)
    return alarms


def _train(folder: Path) -> Path:
    """Train on the sample catalogue and return the release."""
    state = folder / "state"
    environment = os.environ | {"STATE_DIR": str(state), "DATA_DIR": str(folder / "data"), "STORE_URL": ""}
    command = [sys.executable, "-m", "pipelines", "train", "--products", str(PRODUCTS)]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    return next((state / "store" / "product-classifier" / "models").iterdir())
