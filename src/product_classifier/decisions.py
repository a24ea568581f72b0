"""The decision on a prediction: accept it as it is, or have it reviewed."""

from typing import Literal

Decision = Literal["accept", "review"]

DEFAULT_THRESHOLD = 0.95
"""Confidence above which a release without thresholds accepts; of calibrated predictions there, 95 % are right."""
NEVER_ACCEPTED = 1.0
"""Threshold that no confidence exceeds."""


def decide(*, accepted: bool) -> Decision:
    """Return the decision on a prediction whose confidence is above its threshold or not."""
    return "accept" if accepted else "review"
