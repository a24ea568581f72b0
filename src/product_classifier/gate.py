"""Decide whether a newly trained release may take the champion's place.

Pure: scores in, verdict out. Whoever calls it says what it has read, and does what it is told.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Candidate:
    """A release as the gate sees it: how well its fusion does, and on which products that was measured."""

    release: str
    weighted_f1: float
    test_set: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gate says, and why."""

    promote: bool
    reason: str
    challenger: Candidate
    champion: Candidate | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def judge(challenger: Candidate, champion: Candidate | None) -> Verdict:
    """Promote the first release, and every one that is no worse than the champion on the same test set."""
    promote, reason = _compare(challenger, champion)
    return Verdict(promote, reason, challenger, champion)


def _compare(challenger: Candidate, champion: Candidate | None) -> tuple[bool, str]:
    new = challenger.weighted_f1
    if not _is_score(new):
        return False, f"{challenger.release} has weighted F1 {new}, which is no score"
    if champion is None:
        return True, "there is no champion yet"
    old = champion.weighted_f1
    if challenger.test_set != champion.test_set:
        return True, f"{champion.release} was judged on other products, so its weighted F1 {old:.4f} says nothing here"
    if not _is_score(old):
        return True, f"the champion {champion.release} has weighted F1 {old}, which is no score"
    if new < old:
        return False, f"weighted F1 {new:.4f} is below the {old:.4f} of the champion {champion.release}"
    return True, f"weighted F1 {new:.4f} is not below the {old:.4f} of the champion {champion.release}"


def _is_score(value: float) -> bool:
    return math.isfinite(value) and 0.0 <= value <= 1.0
