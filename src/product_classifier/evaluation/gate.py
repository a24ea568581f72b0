"""Decide whether a newly trained release may take the champion's place.

Pure: scores in, verdict out. Whoever calls it says what it has measured, and does what it is told.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CategoryF1:
    """How well a release knows one category: F1, and the items that was measured on."""

    f1: float
    items: int


@dataclass(frozen=True, slots=True)
class ReleaseScores:
    """A release as the gate sees it, judged on the frozen test set."""

    release: str
    weighted_f1: float
    categories: Mapping[int, CategoryF1]
    """By code; a release that tells other categories apart is no successor."""
    ms_per_product: float = 0.0


@dataclass(frozen=True, slots=True)
class UnreadableChampion:
    """The release in service, of which the store has no copy that could be judged."""

    release: str
    reason: str


@dataclass(frozen=True, slots=True)
class GateLimits:
    """What a challenger must reach, and what it must not do."""

    min_gain: float = 0.002
    """How much higher its weighted F1 must be."""
    confidence: float = 0.9
    """In which share of the resamples it must be higher at all."""
    min_items: int = 10
    """Items of a category below which its F1 is chance."""
    max_drop: float = 0.25
    """By how much the F1 of such a category may fall."""
    max_slowdown: float = 3.0
    """How many times as long an answer may take."""
    slow_ms: float = 50.0
    """An answer within this time is fast enough, whatever the champion's takes."""


@dataclass(frozen=True, slots=True)
class GateDecision:
    """What the gate says, and why: all reasons against a release, or the one for it."""

    promote: bool
    reasons: tuple[str, ...]


def decide(
    challenger: ReleaseScores,
    champion: ReleaseScores | UnreadableChampion | None,
    confidence: float = 0.0,
    limits: GateLimits | None = None,
) -> GateDecision:
    """Let the first release pass, and every one that is better than the champion by a margin and nowhere far worse.

    `confidence` is the share of resamples in which the challenger does better than the champion.
    """
    against = tuple(_against(challenger, champion, confidence, limits or GateLimits()))
    return GateDecision(not against, against or (_in_favour(challenger, champion, confidence),))


def exceeds_latency_limit(new_ms: float, old_ms: float, limits: GateLimits) -> bool:
    """Tell whether answers take so much longer that a release must not serve."""
    return not (new_ms <= limits.slow_ms or new_ms <= limits.max_slowdown * old_ms)


def _against(
    new: ReleaseScores, old: ReleaseScores | UnreadableChampion | None, confidence: float, limits: GateLimits
) -> Iterator[str]:
    if not _is_score(new.weighted_f1):
        yield f"{new.release} has weighted F1 {new.weighted_f1}, which is no score"
        return
    if isinstance(old, UnreadableChampion):
        yield f"the champion {old.release} cannot be judged, so nothing can be better: {old.reason}"
        return
    if old is None:
        return
    if new.categories.keys() != old.categories.keys():
        yield f"{new.release} tells {len(new.categories)} categories apart, the champion {len(old.categories)} others"
        return
    yield from _no_better(new, old, confidence, limits)
    yield from _collapses(new, old, limits)
    if exceeds_latency_limit(new.ms_per_product, old.ms_per_product, limits):
        yield (
            f"an answer takes {new.ms_per_product:.0f} ms instead of {old.ms_per_product:.0f}, more than "
            f"{limits.max_slowdown:g} times as long"
        )


def _no_better(new: ReleaseScores, old: ReleaseScores, confidence: float, limits: GateLimits) -> Iterator[str]:
    gain = new.weighted_f1 - old.weighted_f1
    if not _is_score(old.weighted_f1):
        yield f"the champion {old.release} has weighted F1 {old.weighted_f1}, which is no score"
    elif not gain >= limits.min_gain:
        yield f"{_compared(new, old)}: {gain:+.4f}, at least {limits.min_gain:+.4f} is asked for"
    elif not confidence >= limits.confidence:
        yield (
            f"{_compared(new, old)}, but it is better in {confidence:.1%} of the resamples only, "
            f"{limits.confidence:.1%} are asked for"
        )


def _collapses(new: ReleaseScores, old: ReleaseScores, limits: GateLimits) -> Iterator[str]:
    for code, before in old.categories.items():
        after = new.categories[code]
        if before.items >= limits.min_items and not before.f1 - after.f1 <= limits.max_drop:
            yield f"category {code} collapses: F1 {after.f1:.2f} instead of {before.f1:.2f} on {before.items} products"


def _in_favour(new: ReleaseScores, old: ReleaseScores | UnreadableChampion | None, confidence: float) -> str:
    if not isinstance(old, ReleaseScores):
        return "there is no champion yet"
    gain = new.weighted_f1 - old.weighted_f1
    return f"{_compared(new, old)}: {gain:+.4f}, and better in {confidence:.1%} of the resamples"


def _compared(new: ReleaseScores, old: ReleaseScores) -> str:
    return f"weighted F1 {new.weighted_f1:.4f} against {old.weighted_f1:.4f} of the champion {old.release}"


def _is_score(value: float) -> bool:
    return math.isfinite(value) and 0.0 <= value <= 1.0
