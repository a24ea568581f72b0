"""Tests of the gate between releases whose taxonomies are versions of one history."""

from datetime import UTC, datetime

import numpy as np
import pytest

from components.compare.comparison import Comparison, compare_releases
from components.compare.report import HoldOutScores
from product_classifier.evaluation.gate import GateDecision, GateLimits, decide
from product_classifier.evaluation.scores import Scores, Selection
from product_classifier.stored_taxonomy.applied_change import AppliedChange
from product_classifier.stored_taxonomy.change_store import TaxonomyState
from product_classifier.taxonomy import Category, Taxonomy
from product_classifier.taxonomy.change_file import ChangeFile
from product_classifier.taxonomy.version_history import History

LIMITS = GateLimits(min_gain=0.01, confidence=0.9, min_items=5, max_drop=0.25, max_slowdown=3.0, slow_ms=50.0)
BASE = Taxonomy((Category("green"), Category("black"), Category("toys"), Category("fax"), Category("books")))
FILE = ChangeFile.model_validate(
    {
        "from": 1,
        "to": 2,
        "changes": [
            {"do": "add", "code": "tea"},
            {"do": "merge", "codes": ["green", "black"], "into": "tea"},
            {"do": "add", "code": "drones"},
            {"do": "retire", "code": "fax"},
        ],
    }
)
HISTORY = History(BASE, [FILE])
STATE = TaxonomyState(
    BASE, HISTORY, (AppliedChange(change=FILE, created=datetime(2026, 11, 28, tzinfo=UTC), actor="ada", effects=()),)
)
TRAINED = HISTORY.newest.with_answerable({"tea": 9, "drones": 9, "toys": 9, "books": 9})
TEN = 10
TRUE = ["tea"] * 2 * TEN + ["toys"] * TEN + ["books"] * TEN + ["drones"] * TEN
CHAMPION = ["green"] * TEN + ["black"] * TEN + ["toys"] * TEN + ["fax"] * 5 + ["books"] * 5 + ["toys"] * TEN
BETTER = ["tea"] * 2 * TEN + ["toys"] * TEN + ["books"] * TEN + ["drones"] * TEN


def scores(release: str, taxonomy: Taxonomy, predicted: list[str], true: list[str]) -> HoldOutScores:
    columns = np.array([taxonomy.index_of(code) for code in predicted])
    return HoldOutScores(release, taxonomy, columns, true, Scores(0, 0, 0, 0, 0, 0), [], Selection(0, 0, 0))


def compare(predicted: list[str], champion: list[str] = CHAMPION) -> Comparison:
    old, new = scores("r-old", BASE, champion, TRUE), scores("r-new", TRAINED, predicted, TRUE)
    return compare_releases(old, new, STATE, {"r-old": 1.0, "r-new": 1.0}, 200, 27)


def decided(found: Comparison) -> GateDecision:
    share = float((found.gains > 0).mean())
    return decide(found.challenger, found.champion, share, LIMITS, found.difference)


def test_a_challenger_with_an_added_a_merged_and_a_retired_category_is_promoted() -> None:
    found = compare(BETTER)

    decision = decided(found)

    assert decision.promote
    assert set(found.challenger.categories) == {"tea", "toys", "books"}
    assert found.champion.categories["tea"].f1 == 1.0
    assert found.champion.categories["books"].f1 == pytest.approx(2 / 3)
    assert "taxonomy 1 and 2): 40 products, 0 left out; 1 new categories" in decision.reasons[-1]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (slice(0, 12), "category tea collapses"),
        (slice(20, 30), "category toys collapses"),
        (slice(40, 50), "the new category drones has a recall of 0.00 on 10 products"),
    ],
    ids=["merged", "unchanged", "new"],
)
def test_a_collapsed_category_is_refused_whatever_changed(wrong: slice, reason: str) -> None:
    predicted = [*BETTER]
    predicted[wrong] = ["books"] * (wrong.stop - wrong.start)

    decision = decided(compare(predicted))

    assert not decision.promote
    assert any(reason in one for one in decision.reasons)


def test_a_change_applied_after_both_releases_is_read_in_both() -> None:
    old, new = (scores(name, BASE, CHAMPION, TRUE) for name in ("r-old", "r-new"))

    found = compare_releases(old, new, STATE, {"r-old": 1.0, "r-new": 1.0}, 200, 27)

    assert found.champion.weighted_f1 == found.challenger.weighted_f1
    assert set(found.champion.categories) == {"tea", "toys", "books"}
    assert found.difference is None


def test_a_rollback_is_compared_in_the_other_direction() -> None:
    old, new = scores("r-new", TRAINED, BETTER, TRUE), scores("r-old", BASE, CHAMPION, TRUE)

    found = compare_releases(old, new, STATE, {"r-old": 1.0, "r-new": 1.0}, 200, 27)

    assert set(found.challenger.categories) == {"tea", "toys", "books"}
    assert found.difference is not None
    assert (found.difference.left_out, dict(found.difference.new)) == (10, {})
