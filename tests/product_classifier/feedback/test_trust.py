"""Each case is a sequence of corrections and reviews with the trusted labels it leads to."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from product_classifier.feedback.records import Correction, ProductContent, Review, Role, new_id
from product_classifier.feedback.trust import State, product_key, states, trusted_labels
from product_classifier.taxonomy import CHALLENGE

A, B = CHALLENGE.codes[:2]
START = datetime(2030, 1, 1, tzinfo=UTC)
SHIRT = ProductContent(designation="Chemise bleue")


@dataclass(frozen=True)
class Event:
    """A correction given at the hour of its place in the story, unless `at` says another."""

    user: str
    code: int
    role: Role = "user"
    review: str = ""
    reviewed_at: int = 50
    product: ProductContent | None = SHIRT


def build(story: list[Event]) -> tuple[list[Correction], dict[str, Review]]:
    corrections, reviews = [], {}
    for hour, said in enumerate(story):
        created = START + timedelta(hours=hour)
        correction = Correction(
            feedback_id=new_id(created),
            created=created,
            user=said.user,
            role=said.role,
            product=said.product,
            prediction_id=new_id(created),
            code=said.code,
        )
        corrections.append(correction)
        if said.review:
            reviews[correction.feedback_id] = Review(
                feedback_id=correction.feedback_id,
                created=START + timedelta(hours=said.reviewed_at),
                reviewer="rita",
                decision=said.review,
            )
    return corrections, reviews


def labels_of(story: list[Event]) -> list[tuple[int, int]]:
    """Return (code, place in the story of the deciding correction) per product."""
    corrections, reviews = build(story)
    places = {correction.feedback_id: place for place, correction in enumerate(corrections)}
    return [(label.code, places[label.feedback_id]) for label in trusted_labels(corrections, reviews)]


STORIES: dict[str, tuple[list[Event], list[tuple[int, int]]]] = {
    "nobody said anything": ([], []),
    "one user alone": ([Event("ann", A)], []),
    "one user fifty times": ([Event("ann", A)] * 50, []),
    "a reviewer": ([Event("rita", A, "reviewer")], [(A, 0)]),
    "an admin": ([Event("adam", A, "admin")], [(A, 0)]),
    "a user, approved": ([Event("ann", A, review="approved")], [(A, 0)]),
    "a user, rejected": ([Event("ann", A, review="rejected")], []),
    "a reviewer, rejected": ([Event("rita", A, "reviewer", review="rejected")], []),
    "two users agree": ([Event("ann", A), Event("bob", A)], [(A, 1)]),
    "two users disagree": ([Event("ann", A), Event("bob", B)], []),
    "a third who agrees changes nothing": ([Event("ann", A), Event("bob", A), Event("cid", A)], [(A, 1)]),
    "one user repeats himself before another agrees": ([Event("ann", A), Event("ann", A), Event("bob", A)], [(A, 2)]),
    "one repeats himself after the agreement": ([Event("ann", A), Event("bob", A), Event("ann", A)], [(A, 1)]),
    "one of two changes his mind": ([Event("ann", A), Event("bob", A), Event("ann", B)], []),
    "one of three changes his mind": (
        [Event("ann", A), Event("bob", A), Event("cid", A), Event("ann", B)],
        [(A, 2)],
    ),
    "both change their mind": ([Event("ann", A), Event("bob", A), Event("ann", B), Event("bob", B)], [(B, 3)]),
    "one of two agreeing is rejected": ([Event("ann", A), Event("bob", A, review="rejected")], []),
    "a rejected change of mind leaves the agreement": (
        [Event("ann", A), Event("bob", A), Event("ann", B, review="rejected")],
        [(A, 1)],
    ),
    "a reviewer after an agreement": ([Event("ann", A), Event("bob", A), Event("rita", B, "reviewer")], [(B, 2)]),
    "an agreement after a reviewer": ([Event("rita", B, "reviewer"), Event("ann", A), Event("bob", A)], [(A, 2)]),
    "one user after a reviewer": ([Event("rita", B, "reviewer"), Event("ann", A)], [(B, 0)]),
    "a user flooding after a reviewer": ([Event("rita", B, "reviewer"), *[Event("ann", A)] * 30], [(B, 0)]),
    "two reviewers": ([Event("rita", A, "reviewer"), Event("rolf", B, "reviewer")], [(B, 1)]),
    "a reviewer who repeats himself": ([Event("rita", A, "reviewer"), Event("rita", A, "reviewer")], [(A, 0)]),
    "a reviewer who comes back": (
        [Event("rita", A, "reviewer"), Event("rita", B, "reviewer"), Event("rita", A, "reviewer")],
        [(A, 2)],
    ),
    "an approval dates from the review": (
        [Event("ann", A, review="approved", reviewed_at=50), Event("rita", B, "reviewer")],
        [(A, 0)],
    ),
    "an older approval": (
        [Event("ann", A, review="approved", reviewed_at=0), Event("rita", B, "reviewer")],
        [(B, 1)],
    ),
    "an approval of what a reviewer said dates from the reviewer": (
        [Event("rita", A, "reviewer", review="approved"), Event("rolf", B, "reviewer")],
        [(B, 1)],
    ),
    "a reviewer confirms one user": ([Event("ann", A), Event("rita", A, "reviewer")], [(A, 1)]),
    "a product nobody knows yet": ([Event("rita", A, "reviewer", product=None)], []),
    "the same words, written otherwise": (
        [Event("ann", A), Event("bob", A, product=ProductContent(designation=" CHEMISE\n bleue "))],
        [(A, 1)],
    ),
    "the same words, another photo": (
        [Event("ann", A), Event("bob", A, product=ProductContent(designation="Chemise bleue", image_sha256="0" * 64))],
        [],
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_the_trusted_label_of_a_product(name: str) -> None:
    story, expected = STORIES[name]

    assert labels_of(story) == expected


@pytest.mark.parametrize("name", [name for name, (story, _) in STORIES.items() if len(story) <= 4])
def test_the_order_of_the_corrections_does_not_matter(name: str) -> None:
    corrections, reviews = build(STORIES[name][0])

    found = {trusted_labels(order, reviews) for order in permutations(corrections)}

    assert len(found) == 1


def test_labels_of_different_products_do_not_mix() -> None:
    shoe = ProductContent(designation="Chaussure")
    story = [Event("ann", A), Event("bob", A, product=shoe), Event("rita", B, "reviewer", product=shoe)]

    assert labels_of(story) == [(B, 2)]


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        ([Event("ann", A)], ["pending"]),
        ([Event("ann", A), Event("bob", A)], ["agreed", "agreed"]),
        ([Event("ann", A), Event("bob", A), Event("cid", B)], ["agreed", "agreed", "pending"]),
        ([Event("rita", A, "reviewer")], ["trusted"]),
        ([Event("ann", A, review="approved")], ["approved"]),
        ([Event("ann", A, review="rejected"), Event("bob", A)], ["rejected", "pending"]),
    ],
)
def test_every_correction_has_a_state(story: list[Event], expected: list[State]) -> None:
    assert list(states(*build(story)).values()) == expected


def test_designation_and_description_are_not_confused() -> None:
    one = ProductContent(designation="bleue chemise")
    other = ProductContent(designation="bleue", description="chemise")

    assert product_key(one) != product_key(other)
