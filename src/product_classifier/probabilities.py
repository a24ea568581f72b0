"""Conversions between margins, logits and probabilities."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

MIN_MARGIN = np.float32(-80)
"""Lower bound of a margin; below it e^margin underflows float32."""


def softmax(logits: Floats) -> Floats:
    """Return probabilities along the last axis."""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: Floats = (raised / raised.sum(axis=-1, keepdims=True)).astype(np.float32)
    return shares


def softplus_logits(margins: Floats) -> Floats:
    """Return logits log(log(1 + e^margin)) of support vector margins; a monotonic function.

    Softplus grows linearly above the margin and decays exponentially below it. A support vector machine does not
    optimize how far beyond its margin a text lies, so large positive margins carry little evidence.
    """
    return np.log(np.logaddexp(0, np.maximum(margins, MIN_MARGIN))).astype(np.float32)
