"""Tests of the categories at which two releases of different taxonomies are compared."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_classifier.evaluation.common_categories import Answers, common_categories
from product_classifier.taxonomy import Category, Taxonomy

NEWEST = Taxonomy(
    (
        Category("baby"),
        Category("hats", parent="baby"),
        Category("shoes", parent="baby"),
        Category("tea"),
        Category("leaf", parent="tea"),
        Category("toys"),
        Category("drones"),
    )
)


def answers(codes: str, predicted: str, mapped: Mapping[str, str | None] | None = None) -> Answers:
    """Return answers of space-separated codes; `mapped` reads codes of an earlier version."""
    return Answers(tuple(codes.split()), predicted.split(), lambda code: (mapped or {}).get(code, code))


def compared(labels: str, champion: Answers, challenger: Answers) -> dict[str, object]:
    found = common_categories(NEWEST, labels.split(), champion, challenger)
    names = (*found.codes, "-")
    return {
        "labels": " ".join(names[one] for one in found.labels),
        "champion": " ".join(names[one] for one in found.champion),
        "challenger": " ".join(names[one] for one in found.challenger),
        "new": dict(found.new),
        "left_out": found.left_out,
    }


@pytest.mark.parametrize(
    ("labels", "champion", "challenger", "expected"),
    [
        pytest.param(
            "toys leaf",
            answers("toys leaf", "toys toys"),
            answers("leaf toys", "toys leaf"),
            ("toys leaf", "toys toys", "toys leaf", {}, 0),
            id="equal taxonomies in another order",
        ),
        pytest.param(
            "leaf leaf toys",
            answers("green black toys", "green black toys", {"green": "leaf", "black": "leaf"}),
            answers("leaf toys", "leaf toys toys"),
            ("leaf leaf toys", "leaf leaf toys", "leaf toys toys", {}, 0),
            id="merge",
        ),
        pytest.param(
            "hats shoes toys",
            answers("baby toys", "baby baby toys"),
            answers("hats shoes toys", "hats hats toys"),
            ("baby baby toys", "baby baby toys", "baby baby toys", {"hats": 1.0, "shoes": 0.0}, 0),
            id="the champion knows only the parent",
        ),
        pytest.param(
            "hats shoes toys",
            answers("hats shoes toys", "hats toys toys"),
            answers("baby toys", "baby baby toys"),
            ("baby baby toys", "baby toys toys", "baby baby toys", {}, 0),
            id="the challenger knows only the parent",
        ),
        pytest.param(
            "baby hats",
            answers("clothes toys", "clothes clothes", {"clothes": "baby"}),
            answers("hats shoes toys", "shoes hats"),
            ("baby baby", "baby baby", "baby baby", {"hats": 1.0}, 0),
            id="split: undecided products count at the parent",
        ),
        pytest.param(
            "drones drones toys",
            answers("toys", "toys toys toys"),
            answers("toys drones", "drones toys toys"),
            ("toys", "toys", "toys", {"drones": 0.5}, 0),
            id="added",
        ),
        pytest.param(
            "toys toys",
            answers("toys fax", "fax toys", {"fax": None}),
            answers("toys", "toys toys"),
            ("toys toys", "- toys", "toys toys", {}, 0),
            id="retired to no category",
        ),
        pytest.param(
            "drones toys gone",
            answers("toys drones", "drones toys toys"),
            answers("toys", "toys toys toys"),
            ("toys", "toys", "toys", {}, 2),
            id="not answered by the challenger, or not known",
        ),
    ],
)
def test_predictions_are_compared_at_the_finest_category_that_both_answer(
    labels: str, champion: Answers, challenger: Answers, expected: tuple[str, str, str, dict[str, float], int]
) -> None:
    names = ("labels", "champion", "challenger", "new", "left_out")

    assert compared(labels, champion, challenger) == dict(zip(names, expected, strict=True))


@given(st.lists(st.tuples(*[st.sampled_from(NEWEST.codes)] * 3), min_size=1))
def test_with_one_taxonomy_nothing_changes(rows: list[tuple[str, str, str]]) -> None:
    labels, old, new = (list(column) for column in zip(*rows, strict=True))
    sides = [Answers(NEWEST.codes, predicted, lambda code: code) for predicted in (old, new)]

    found = common_categories(NEWEST, labels, *sides)

    assert [found.codes[one] for one in found.labels] == labels
    for side, predicted in ((found.champion, old), (found.challenger, new)):
        assert [one == code for one, code in zip(predicted, labels, strict=True)] == list(side == found.labels)
    assert (found.new, found.left_out) == ({}, 0)
