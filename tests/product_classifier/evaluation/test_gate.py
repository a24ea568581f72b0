import math

import pytest

from product_classifier.evaluation.gate import (
    CategoryF1,
    GateLimits,
    ReleaseScores,
    TaxonomyDifference,
    UnreadableChampion,
    decide,
    exceeds_latency_limit,
)

LIMITS = GateLimits(min_gain=0.01, confidence=0.9, min_items=10, max_drop=0.2, max_slowdown=3.0, slow_ms=50.0)
GOOD = {10: CategoryF1(0.8, 20), 40: CategoryF1(0.8, 20)}
OLD = ReleaseScores("r-old", 0.80, GOOD, 20.0)


def new(weighted_f1: float, categories: dict[int, CategoryF1] | None = None, ms: float = 20.0) -> ReleaseScores:
    return ReleaseScores("r-new", weighted_f1, categories or GOOD, ms)


@pytest.mark.parametrize(
    ("challenger", "champion", "confidence", "promote", "reason"),
    [
        pytest.param(new(0.5), None, 0.0, True, "there is no champion yet", id="no champion"),
        pytest.param(new(0.0), None, 0.0, True, "no champion", id="no champion and the lowest score"),
        pytest.param(new(0.82), OLD, 0.95, True, "0.8200 against 0.8000 of the champion r-old: +0.0200", id="better"),
        pytest.param(new(0.8125), OLD, 0.9, True, "+0.0125", id="just better enough"),
        pytest.param(new(0.80), OLD, 0.0, False, "+0.0000, at least +0.0100", id="tie"),
        pytest.param(new(0.805), OLD, 0.99, False, "+0.0050, at least", id="better by less than the margin"),
        pytest.param(new(0.79), OLD, 0.1, False, "-0.0100, at least", id="worse"),
        pytest.param(new(0.82), OLD, 0.8, False, "in only 80.0% of the resamples", id="low confidence"),
        pytest.param(new(0.82), OLD, math.nan, False, "in only nan% of the resamples", id="confidence is NaN"),
        pytest.param(
            new(0.82, {10: CategoryF1(1.0, 20), 40: CategoryF1(0.59, 20)}),
            OLD,
            1.0,
            False,
            "category 40 collapses: F1 0.59 instead of 0.80 on 20 products",
            id="a category collapses",
        ),
        pytest.param(
            new(0.82, {10: CategoryF1(1.0, 20), 40: CategoryF1(math.nan, 20)}),
            OLD,
            1.0,
            False,
            "collapses",
            id="F1 is NaN",
        ),
        pytest.param(
            new(0.82, {10: CategoryF1(1.0, 20), 40: CategoryF1(0.61, 20)}),
            OLD,
            1.0,
            True,
            "+0.0200",
            id="a category falls",
        ),
        pytest.param(
            new(0.82, {10: CategoryF1(1.0, 20), 40: CategoryF1(0.0, 9)}),
            ReleaseScores("r-old", 0.80, {10: CategoryF1(0.8, 20), 40: CategoryF1(1.0, 9)}, 20.0),
            1.0,
            True,
            "+0.0200",
            id="a category with too few items",
        ),
        pytest.param(
            ReleaseScores("r-new", 0.0, {}),
            ReleaseScores("r-old", 0.0, {}),
            0.0,
            False,
            "no category in common",
            id="nothing to compare",
        ),
        pytest.param(
            new(0.9),
            UnreadableChampion("r-old", "text: is lost"),
            1.0,
            False,
            "text: is lost",
            id="champion unreadable",
        ),
        pytest.param(
            new(0.9),
            ReleaseScores("r-old", math.nan, GOOD),
            1.0,
            False,
            "r-old has weighted F1 nan",
            id="champion is NaN",
        ),
        pytest.param(new(math.nan), None, 0.0, False, "nan, which is not a score", id="NaN without a champion"),
        pytest.param(new(math.nan), OLD, 1.0, False, "nan, which is not a score", id="NaN against a champion"),
        pytest.param(new(math.inf), OLD, 1.0, False, "which is not a score", id="infinite"),
        pytest.param(new(1.5), OLD, 1.0, False, "which is not a score", id="above one"),
        pytest.param(new(-0.1), None, 0.0, False, "which is not a score", id="below zero"),
        pytest.param(new(0.9, ms=200.0), OLD, 1.0, False, "takes 200 ms instead of 20", id="ten times slower"),
        pytest.param(new(0.9, ms=math.nan), OLD, 1.0, False, "takes nan ms", id="time is NaN"),
        pytest.param(new(0.9, ms=49.0), OLD, 1.0, True, "+0.1000", id="slower and fast enough"),
    ],
)
def test_the_decision_and_its_reason(
    challenger: ReleaseScores,
    champion: ReleaseScores | UnreadableChampion | None,
    confidence: float,
    promote: bool,
    reason: str,
) -> None:
    decision = decide(challenger, champion, confidence, LIMITS)

    assert (promote, 1) == (decision.promote, len(decision.reasons))
    assert reason in decision.reasons[0]


@pytest.mark.parametrize(
    ("recalls", "promote", "reasons"),
    [
        ({}, True, ["+0.0200", "90 products, 3 left out; 0 new categories, 0 of them with too few"]),
        ({"tea": (0.3, 10)}, True, ["+0.0200", "1 new categories, 0 of them with too few products to judge"]),
        ({"tea": (0.0, 9)}, True, ["+0.0200", "1 new categories, 1 of them with too few products to judge"]),
        ({"tea": (0.29, 10)}, False, ["new category tea has a recall of 0.29 on 10 products, at least 0.30", "1 new"]),
        ({"tea": (math.nan, 10)}, False, ["new category tea has a recall of nan", "1 new"]),
    ],
    ids=["none", "at the floor", "too few products", "below the floor", "NaN"],
)
def test_new_categories_have_a_floor_and_the_verdict_names_what_was_compared(
    recalls: dict[str, tuple[float, int]], promote: bool, reasons: list[str]
) -> None:
    difference = TaxonomyDifference((1, 2), 90, 3, recalls)

    decision = decide(new(0.82), OLD, 0.95, LIMITS, difference)

    assert promote == decision.promote
    assert [expected in reason for expected, reason in zip(reasons, decision.reasons, strict=True)] == [True, True]


@pytest.mark.parametrize(
    ("versions", "added", "gain", "promote"),
    [
        ((1, 2), 0, 0.0, True),
        ((1, 1), 1, 0.0, True),
        ((1, 2), 1, -0.0099, True),
        ((1, 2), 1, -0.0101, False),
        ((1, 1), 0, 0.0, False),
        ((2, 1), 0, 0.0, False),
    ],
    ids=["newer version", "answers more", "loses little", "loses more", "same categories", "older version"],
)
def test_a_challenger_that_answers_more_or_a_newer_version_needs_no_gain(
    versions: tuple[int, int], added: int, gain: float, promote: bool
) -> None:
    difference = TaxonomyDifference(versions, 90, 3, {}, added)

    assert promote == decide(new(OLD.weighted_f1 + gain), OLD, 0.5, LIMITS, difference).promote


def test_scores_of_different_categories_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="1 and 2 are not the same ones"):
        decide(new(0.9, {10: CategoryF1(0.9, 20)}), OLD, 1.0, LIMITS)


def test_all_reasons_to_reject_are_listed() -> None:
    bad = new(0.7, {10: CategoryF1(0.1, 20), 40: CategoryF1(0.2, 20)}, ms=1000.0)

    reasons = decide(bad, OLD, 0.0, LIMITS).reasons

    assert 4 == len(reasons)
    assert all(word in " ".join(reasons) for word in ("at least", "category 10", "category 40", "1000 ms"))


@pytest.mark.parametrize(
    ("new_ms", "old_ms", "slow"),
    [(40, 1, False), (51, 17, False), (51, 16, True), (1000, 400, False), (math.inf, 1, True)],
)
def test_the_latency_limit_is_a_ratio_and_a_minimum(new_ms: float, old_ms: float, slow: bool) -> None:
    assert slow == exceeds_latency_limit(new_ms, old_ms, LIMITS)
