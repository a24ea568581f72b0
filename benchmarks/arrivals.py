"""When requests are sent: planned before the first one, whatever the server does meanwhile."""

from collections.abc import Sequence

import numpy as np


def poisson(rate: float, seconds: float, seed: int) -> Sequence[float]:
    """Return the moments of arrivals that know nothing of each other, `rate` a second on average."""
    gaps = np.random.default_rng(seed).exponential(1 / rate, round(rate * seconds * 2) + 16)
    moments = np.cumsum(gaps)
    return [float(moment) for moment in moments[moments < seconds]]


def constant(rate: float, seconds: float) -> Sequence[float]:
    """Return the moments of arrivals at equal distances."""
    return [number / rate for number in range(round(rate * seconds))]
