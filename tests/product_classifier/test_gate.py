import json
import math

import pytest

from product_classifier.gate import Candidate, judge


def candidate(weighted_f1: float, release: str = "r-new", test_set: str = "t") -> Candidate:
    return Candidate(release, weighted_f1, test_set)


@pytest.mark.parametrize(
    ("challenger", "champion", "promote"),
    [
        pytest.param(0.5, None, True, id="no champion"),
        pytest.param(0.81, 0.80, True, id="better"),
        pytest.param(0.80, 0.80, True, id="tie"),
        pytest.param(0.79, 0.80, False, id="worse"),
        pytest.param(0.0, None, True, id="no champion and the lowest score"),
        pytest.param(math.nan, None, False, id="NaN without a champion"),
        pytest.param(math.nan, 0.1, False, id="NaN against a champion"),
        pytest.param(math.inf, 0.1, False, id="infinite"),
        pytest.param(1.5, 0.1, False, id="above one"),
        pytest.param(-0.1, None, False, id="below zero"),
        pytest.param(0.2, math.nan, True, id="the champion's score is NaN"),
    ],
)
def test_the_gate_decides_by_weighted_f1(challenger: float, champion: float | None, promote: bool) -> None:
    against = None if champion is None else candidate(champion, "r-old")

    assert promote == judge(candidate(challenger), against).promote


def test_a_champion_judged_on_other_products_does_not_block() -> None:
    verdict = judge(candidate(0.6, test_set="real"), candidate(0.9, "r-old", test_set="sample"))

    assert (True, True) == (verdict.promote, "other products" in verdict.reason)


@pytest.mark.parametrize(("new", "old"), [(0.79, 0.80), (0.9, 0.8), (0.8, 0.8)])
def test_the_reason_names_both_scores_and_the_champion(new: float, old: float) -> None:
    reason = judge(candidate(new), candidate(old, "r-old")).reason

    assert all(word in reason for word in (f"{new:.4f}", f"{old:.4f}", "r-old"))


def test_a_verdict_is_plain_json() -> None:
    verdict = judge(candidate(0.9), candidate(0.8, "r-old"))

    assert {"promote", "reason", "challenger", "champion"} == set(json.loads(json.dumps(verdict.to_json())))
