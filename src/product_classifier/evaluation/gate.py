"""Decide whether a challenger release replaces the champion. Pure functions of scores; no I/O."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CategoryF1:
    """F1 of one category, and the number of test products it was measured on."""

    f1: float
    items: int


@dataclass(frozen=True, slots=True)
class ReleaseScores:
    """Scores of a release on the frozen test set."""

    release: str
    weighted_f1: float
    categories: Mapping[str, CategoryF1]
    """By the code of each compared category; both releases have the same ones, see `common_categories`."""
    ms_per_product: float = 0.0


@dataclass(frozen=True, slots=True)
class TaxonomyDifference:
    """What two releases with different taxonomies were not compared on."""

    versions: tuple[int, int]
    """Taxonomy versions of champion and challenger."""
    products: int
    """Products that were compared."""
    left_out: int
    """Products whose category one of the two cannot answer, without those of new categories."""
    new: Mapping[str, tuple[float, int]]
    """Recall of the challenger, and products, by category that the champion cannot answer."""
    added: int = 0
    """Categories that only the challenger can answer, with or without test products."""

    @property
    def needs_no_gain(self) -> bool:
        """Whether the challenger has a newer version or answers more, which no comparison shows."""
        champion, challenger = self.versions
        return challenger > champion or self.added > 0


@dataclass(frozen=True, slots=True)
class UnreadableChampion:
    """A deployed champion whose copy in the store cannot be evaluated."""

    release: str
    reason: str


@dataclass(frozen=True, slots=True)
class GateLimits:
    """Thresholds of the gate."""

    min_gain: float
    """Smallest gain in weighted F1."""
    confidence: float
    """Smallest share of bootstrap resamples in which the challenger has the higher weighted F1; 0 to 1."""
    min_items: int
    """Test products below which the F1 of a category is not compared."""
    max_drop: float
    """Largest drop in the F1 of a category."""
    max_slowdown: float
    """Largest ratio of the latency to that of the champion."""
    slow_ms: float
    """Latency in milliseconds per product that is accepted whatever the champion's is."""
    min_new_recall: float = 0.3
    """Smallest recall of a category that the champion cannot answer, if it has `min_items` test products."""


@dataclass(frozen=True, slots=True)
class GateDecision:
    """Decision of the gate, with all reasons to reject or the one reason to promote."""

    promote: bool
    reasons: tuple[str, ...]


def decide(
    challenger: ReleaseScores,
    champion: ReleaseScores | UnreadableChampion | None,
    share_better: float,
    limits: GateLimits,
    difference: TaxonomyDifference | None = None,
) -> GateDecision:
    """Promote the first release, and any that beats the champion by a margin without a collapsed category.

    Releases with different taxonomies are compared on the categories that both can answer. A category that only the
    challenger can answer needs a recall of `min_new_recall`. A challenger of a newer version, or one that answers more
    categories, may lose up to `min_gain` on the others instead of having to gain it.

    Args:
        challenger: Scores of the new release.
        champion: Scores of the deployed release; None if there is none.
        share_better: Share of bootstrap resamples in which the challenger has the higher weighted F1; 0 to 1.
        limits: Thresholds.
        difference: What was not compared; None for two releases with one taxonomy.
    """
    needs_gain = difference is None or not difference.needs_no_gain
    objections = [
        *_objections(challenger, champion, share_better, limits, needs_gain=needs_gain),
        *_check_new_categories(difference, limits),
    ]
    reasons = objections or [_reason_to_promote(challenger, champion, share_better)]
    if difference is not None:
        reasons.append(_describe_difference(difference, limits))
    return GateDecision(not objections, tuple(reasons))


def exceeds_latency_limit(new_ms: float, old_ms: float, limits: GateLimits) -> bool:
    """Return whether a latency in milliseconds exceeds both limits; True for NaN."""
    return not (new_ms <= limits.slow_ms or new_ms <= limits.max_slowdown * old_ms)


def _objections(
    new: ReleaseScores,
    old: ReleaseScores | UnreadableChampion | None,
    share_better: float,
    limits: GateLimits,
    *,
    needs_gain: bool,
) -> Iterator[str]:
    if not _is_score(new.weighted_f1):
        yield f"{new.release} has weighted F1 {new.weighted_f1}, which is not a score from 0 to 1"
        return
    if isinstance(old, UnreadableChampion):
        yield f"the champion {old.release} cannot be evaluated, so no challenger can be compared: {old.reason}"
        return
    if old is None:
        return
    if new.categories.keys() != old.categories.keys():
        raise ValueError(f"categories: {len(new.categories)} and {len(old.categories)} are not the same ones")
    if not new.categories:
        yield (
            f"{new.release} and the champion {old.release} have no category in common; declare the change by a change "
            "file, or deploy the release with `python -m pipelines rollback`"
        )
        return
    yield from _check_gain(new, old, share_better, limits) if needs_gain else _check_loss(new, old, limits)
    yield from _check_categories(new, old, limits)
    if exceeds_latency_limit(new.ms_per_product, old.ms_per_product, limits):
        yield (
            f"a prediction takes {new.ms_per_product:.0f} ms instead of {old.ms_per_product:.0f}, more than "
            f"{limits.max_slowdown:g} times as long"
        )


def _check_gain(new: ReleaseScores, old: ReleaseScores, share_better: float, limits: GateLimits) -> Iterator[str]:
    gain = new.weighted_f1 - old.weighted_f1
    if not _is_score(old.weighted_f1):
        yield f"the champion {old.release} has weighted F1 {old.weighted_f1}, which is not a score from 0 to 1"
    elif not gain >= limits.min_gain:
        yield f"{_compared(new, old)}: {gain:+.4f}, at least {limits.min_gain:+.4f} is required"
    elif not share_better >= limits.confidence:
        yield (
            f"{_compared(new, old)}, but better in only {share_better:.1%} of the resamples, "
            f"{limits.confidence:.1%} are required"
        )


def _check_loss(new: ReleaseScores, old: ReleaseScores, limits: GateLimits) -> Iterator[str]:
    """Refuse a release that loses more on the categories both answer than a gain would have to be."""
    if not _is_score(old.weighted_f1):
        yield f"the champion {old.release} has weighted F1 {old.weighted_f1}, which is not a score from 0 to 1"
    elif not new.weighted_f1 - old.weighted_f1 >= -limits.min_gain:
        loss = new.weighted_f1 - old.weighted_f1
        yield f"{_compared(new, old)}: {loss:+.4f}, at least {-limits.min_gain:+.4f} is required"


def _check_categories(new: ReleaseScores, old: ReleaseScores, limits: GateLimits) -> Iterator[str]:
    for code, before in old.categories.items():
        after = new.categories[code]
        if before.items >= limits.min_items and not before.f1 - after.f1 <= limits.max_drop:
            yield f"category {code} collapses: F1 {after.f1:.2f} instead of {before.f1:.2f} on {before.items} products"


def _check_new_categories(difference: TaxonomyDifference | None, limits: GateLimits) -> Iterator[str]:
    for code, (recall, items) in difference.new.items() if difference else ():
        if items >= limits.min_items and not recall >= limits.min_new_recall:
            yield (
                f"the new category {code} has a recall of {recall:.2f} on {items} products, at least "
                f"{limits.min_new_recall:.2f} is required"
            )


def _describe_difference(difference: TaxonomyDifference, limits: GateLimits) -> str:
    champion, challenger = difference.versions
    few = sum(items < limits.min_items for _, items in difference.new.values())
    return (
        f"compared on the categories that both answer (taxonomy {champion} and {challenger}): "
        f"{difference.products} products, {difference.left_out} left out; {len(difference.new)} new categories, "
        f"{few} of them with too few products to judge; {difference.added} answered by the challenger only"
    )


def _reason_to_promote(new: ReleaseScores, old: ReleaseScores | UnreadableChampion | None, share_better: float) -> str:
    if not isinstance(old, ReleaseScores):
        return "there is no champion yet"
    gain = new.weighted_f1 - old.weighted_f1
    return f"{_compared(new, old)}: {gain:+.4f}, and better in {share_better:.1%} of the resamples"


def _compared(new: ReleaseScores, old: ReleaseScores) -> str:
    return f"weighted F1 {new.weighted_f1:.4f} against {old.weighted_f1:.4f} of the champion {old.release}"


def _is_score(value: float) -> bool:
    return math.isfinite(value) and 0.0 <= value <= 1.0
