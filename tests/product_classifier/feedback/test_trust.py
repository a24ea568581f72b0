"""Each table reads as a story: who said what, in which order; then what is believed."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from product_classifier.feedback.records import Correction, ProductContent, Review, Role, new_id
from product_classifier.feedback.trust import State, product_key, states, trusted_labels
from product_classifier.taxonomy import CODES

A, B = CODES[:2]
START = datetime(2030, 1, 1, tzinfo=UTC)
SHIRT = ProductContent(designation="Chemise bleue")


@dataclass(frozen=True)
class Said:
    """A correction given at the hour of its place in the story, unless `at` says another."""

    user: str
    code: int
    role: Role = "user"
    review: str = ""
    reviewed_at: int = 50
    product: ProductContent | None = SHIRT


def told(story: list[Said]) -> tuple[list[Correction], dict[str, Review]]:
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


def believed(story: list[Said]) -> list[tuple[int, int]]:
    """Return (code, place in the story of the deciding correction) per product."""
    corrections, reviews = told(story)
    places = {correction.feedback_id: place for place, correction in enumerate(corrections)}
    return [(label.code, places[label.feedback_id]) for label in trusted_labels(corrections, reviews)]


STORIES: dict[str, tuple[list[Said], list[tuple[int, int]]]] = {
    "nobody said anything": ([], []),
    "one user alone": ([Said("ann", A)], []),
    "one user fifty times": ([Said("ann", A)] * 50, []),
    "a reviewer": ([Said("rita", A, "reviewer")], [(A, 0)]),
    "an admin": ([Said("adam", A, "admin")], [(A, 0)]),
    "a user, approved": ([Said("ann", A, review="approved")], [(A, 0)]),
    "a user, rejected": ([Said("ann", A, review="rejected")], []),
    "a reviewer, rejected": ([Said("rita", A, "reviewer", review="rejected")], []),
    "two users agree": ([Said("ann", A), Said("bob", A)], [(A, 1)]),
    "two users disagree": ([Said("ann", A), Said("bob", B)], []),
    "a third who agrees changes nothing": ([Said("ann", A), Said("bob", A), Said("cid", A)], [(A, 1)]),
    "one user repeats himself before another agrees": ([Said("ann", A), Said("ann", A), Said("bob", A)], [(A, 2)]),
    "one repeats himself after the agreement": ([Said("ann", A), Said("bob", A), Said("ann", A)], [(A, 1)]),
    "one of two changes his mind": ([Said("ann", A), Said("bob", A), Said("ann", B)], []),
    "one of three changes his mind": (
        [Said("ann", A), Said("bob", A), Said("cid", A), Said("ann", B)],
        [(A, 2)],
    ),
    "both change their mind": ([Said("ann", A), Said("bob", A), Said("ann", B), Said("bob", B)], [(B, 3)]),
    "one of two agreeing is rejected": ([Said("ann", A), Said("bob", A, review="rejected")], []),
    "a rejected change of mind leaves the agreement": (
        [Said("ann", A), Said("bob", A), Said("ann", B, review="rejected")],
        [(A, 1)],
    ),
    "a reviewer after an agreement": ([Said("ann", A), Said("bob", A), Said("rita", B, "reviewer")], [(B, 2)]),
    "an agreement after a reviewer": ([Said("rita", B, "reviewer"), Said("ann", A), Said("bob", A)], [(A, 2)]),
    "one user after a reviewer": ([Said("rita", B, "reviewer"), Said("ann", A)], [(B, 0)]),
    "a user flooding after a reviewer": ([Said("rita", B, "reviewer"), *[Said("ann", A)] * 30], [(B, 0)]),
    "two reviewers": ([Said("rita", A, "reviewer"), Said("rolf", B, "reviewer")], [(B, 1)]),
    "a reviewer who repeats himself": ([Said("rita", A, "reviewer"), Said("rita", A, "reviewer")], [(A, 0)]),
    "a reviewer who comes back": (
        [Said("rita", A, "reviewer"), Said("rita", B, "reviewer"), Said("rita", A, "reviewer")],
        [(A, 2)],
    ),
    "an approval dates from the review": (
        [Said("ann", A, review="approved", reviewed_at=50), Said("rita", B, "reviewer")],
        [(A, 0)],
    ),
    "an older approval": (
        [Said("ann", A, review="approved", reviewed_at=0), Said("rita", B, "reviewer")],
        [(B, 1)],
    ),
    "an approval of what a reviewer said dates from the reviewer": (
        [Said("rita", A, "reviewer", review="approved"), Said("rolf", B, "reviewer")],
        [(B, 1)],
    ),
    "a reviewer confirms one user": ([Said("ann", A), Said("rita", A, "reviewer")], [(A, 1)]),
    "a product nobody knows yet": ([Said("rita", A, "reviewer", product=None)], []),
    "the same words, written otherwise": (
        [Said("ann", A), Said("bob", A, product=ProductContent(designation=" CHEMISE\n bleue "))],
        [(A, 1)],
    ),
    "the same words, another photo": (
        [Said("ann", A), Said("bob", A, product=ProductContent(designation="Chemise bleue", image_sha256="0" * 64))],
        [],
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_what_is_believed_of_a_product(name: str) -> None:
    story, expected = STORIES[name]

    assert believed(story) == expected


@pytest.mark.parametrize("name", [name for name, (story, _) in STORIES.items() if len(story) <= 4])
def test_the_order_in_which_objects_are_listed_changes_nothing(name: str) -> None:
    corrections, reviews = told(STORIES[name][0])

    found = {trusted_labels(order, reviews) for order in permutations(corrections)}

    assert len(found) == 1


def test_labels_of_different_products_do_not_mix() -> None:
    shoe = ProductContent(designation="Chaussure")
    story = [Said("ann", A), Said("bob", A, product=shoe), Said("rita", B, "reviewer", product=shoe)]

    assert believed(story) == [(B, 2)]


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        ([Said("ann", A)], ["pending"]),
        ([Said("ann", A), Said("bob", A)], ["agreed", "agreed"]),
        ([Said("ann", A), Said("bob", A), Said("cid", B)], ["agreed", "agreed", "pending"]),
        ([Said("rita", A, "reviewer")], ["trusted"]),
        ([Said("ann", A, review="approved")], ["approved"]),
        ([Said("ann", A, review="rejected"), Said("bob", A)], ["rejected", "pending"]),
    ],
)
def test_every_correction_has_a_state(story: list[Said], expected: list[State]) -> None:
    assert list(states(*told(story)).values()) == expected


def test_designation_and_description_are_not_confused() -> None:
    one = ProductContent(designation="bleue chemise")
    other = ProductContent(designation="bleue", description="chemise")

    assert product_key(one) != product_key(other)
