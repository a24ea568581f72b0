"""Each case is a sequence of corrections and reviews with the trusted labels it leads to."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.feedback.records import Correction, ProductContent, Review, Role, new_id
from product_classifier.feedback.trust import State, agreement_key, product_key, states, trusted_labels

A, B = CHALLENGE.codes[:2]
START = datetime(2030, 1, 1, tzinfo=UTC)
SHIRT = ProductContent(designation="Chemise bleue")


@dataclass(frozen=True)
class Event:
    """A correction, submitted n hours after `START` as the n-th of its case, and its review."""

    user: str
    code: str
    role: Role = "user"
    review: str = ""
    reviewed_at: int = 50
    product: ProductContent | None = SHIRT


def build(events: list[Event]) -> tuple[list[Correction], dict[str, Review]]:
    corrections, reviews = [], {}
    for hour, event in enumerate(events):
        created = START + timedelta(hours=hour)
        correction = Correction(
            feedback_id=new_id(created),
            created=created,
            user=event.user,
            role=event.role,
            product=event.product,
            prediction_id=new_id(created),
            code=event.code,
        )
        corrections.append(correction)
        if event.review:
            reviews[correction.feedback_id] = Review(
                feedback_id=correction.feedback_id,
                created=START + timedelta(hours=event.reviewed_at),
                reviewer="rita",
                decision=event.review,
            )
    return corrections, reviews


def labels_of(events: list[Event]) -> list[tuple[int, int]]:
    """Return code and position of the deciding correction per product."""
    corrections, reviews = build(events)
    positions = {correction.feedback_id: position for position, correction in enumerate(corrections)}
    return [(label.code, positions[label.feedback_id]) for label in trusted_labels(corrections, reviews)]


CASES: dict[str, tuple[list[Event], list[tuple[int, int]]]] = {
    "no corrections": ([], []),
    "one user alone": ([Event("ann", A)], []),
    "one user fifty times": ([Event("ann", A)] * 50, []),
    "a reviewer": ([Event("rita", A, "reviewer")], [(A, 0)]),
    "an admin": ([Event("adam", A, "admin")], [(A, 0)]),
    "a user, approved": ([Event("ann", A, review="approved")], [(A, 0)]),
    "a user, rejected": ([Event("ann", A, review="rejected")], []),
    "a reviewer, rejected": ([Event("rita", A, "reviewer", review="rejected")], []),
    "two users agree": ([Event("ann", A), Event("bob", A)], [(A, 1)]),
    "two users disagree": ([Event("ann", A), Event("bob", B)], []),
    "a third user agrees": ([Event("ann", A), Event("bob", A), Event("cid", A)], [(A, 1)]),
    "one user repeats the correction before another agrees": (
        [Event("ann", A), Event("ann", A), Event("bob", A)],
        [(A, 2)],
    ),
    "one user repeats the correction after the agreement": (
        [Event("ann", A), Event("bob", A), Event("ann", A)],
        [(A, 1)],
    ),
    "one of two submits another code": ([Event("ann", A), Event("bob", A), Event("ann", B)], []),
    "one of three submits another code": (
        [Event("ann", A), Event("bob", A), Event("cid", A), Event("ann", B)],
        [(A, 2)],
    ),
    "both submit another code": ([Event("ann", A), Event("bob", A), Event("ann", B), Event("bob", B)], [(B, 3)]),
    "one of two agreeing is rejected": ([Event("ann", A), Event("bob", A, review="rejected")], []),
    "a rejected correction leaves the agreement": (
        [Event("ann", A), Event("bob", A), Event("ann", B, review="rejected")],
        [(A, 1)],
    ),
    "a reviewer after an agreement": ([Event("ann", A), Event("bob", A), Event("rita", B, "reviewer")], [(B, 2)]),
    "an agreement after a reviewer": ([Event("rita", B, "reviewer"), Event("ann", A), Event("bob", A)], [(A, 2)]),
    "one user after a reviewer": ([Event("rita", B, "reviewer"), Event("ann", A)], [(B, 0)]),
    "one user many times after a reviewer": ([Event("rita", B, "reviewer"), *[Event("ann", A)] * 30], [(B, 0)]),
    "two reviewers": ([Event("rita", A, "reviewer"), Event("rolf", B, "reviewer")], [(B, 1)]),
    "a reviewer repeats the correction": ([Event("rita", A, "reviewer"), Event("rita", A, "reviewer")], [(A, 0)]),
    "a reviewer returns to the first code": (
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
    "an approval of a reviewer dates from the correction": (
        [Event("rita", A, "reviewer", review="approved"), Event("rolf", B, "reviewer")],
        [(B, 1)],
    ),
    "a reviewer confirms one user": ([Event("ann", A), Event("rita", A, "reviewer")], [(A, 1)]),
    "a correction without a product": ([Event("rita", A, "reviewer", product=None)], []),
    "the same text with other case and spaces": (
        [Event("ann", A), Event("bob", A, product=ProductContent(designation=" CHEMISE\n bleue "))],
        [(A, 1)],
    ),
    "the same words, spelled in another way": (
        [Event("ann", A), Event("bob", A, product=ProductContent(designation="<b>CHEMISE</b> «&nbsp;bleüe&nbsp;» !"))],
        [(A, 1)],
    ),
    "two products without a letter": (
        [
            Event("ann", A, product=ProductContent(designation="!!!")),
            Event("bob", A, product=ProductContent(designation="???")),
        ],
        [],
    ),
    "a product without a letter": (
        [Event(user, A, product=ProductContent(designation="!!!")) for user in "ab"],
        [(A, 1)],
    ),
    "a text that the standard library cannot unescape": (
        [Event(user, A, product=ProductContent(designation="&#" + "9" * 5000)) for user in "ab"],
        [(A, 1)],
    ),
    "the same text with another photo": (
        [Event("ann", A), Event("bob", A, product=ProductContent(designation="Chemise bleue", image_sha256="0" * 64))],
        [],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_trusted_label_of_a_product(name: str) -> None:
    events, expected = CASES[name]

    assert labels_of(events) == expected


@pytest.mark.parametrize("name", [name for name, (events, _) in CASES.items() if len(events) <= 4])
def test_the_order_of_the_corrections_does_not_matter(name: str) -> None:
    corrections, reviews = build(CASES[name][0])

    found = {trusted_labels(order, reviews) for order in permutations(corrections)}

    assert len(found) == 1


def test_labels_of_different_products_do_not_mix() -> None:
    shoe = ProductContent(designation="Chaussure")
    events = [Event("ann", A), Event("bob", A, product=shoe), Event("rita", B, "reviewer", product=shoe)]

    assert labels_of(events) == [(B, 2)]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([Event("ann", A)], ["pending"]),
        ([Event("ann", A), Event("bob", A)], ["agreed", "agreed"]),
        ([Event("ann", A), Event("bob", A), Event("cid", B)], ["agreed", "agreed", "pending"]),
        ([Event("rita", A, "reviewer")], ["trusted"]),
        ([Event("ann", A, review="approved")], ["approved"]),
        ([Event("ann", A, review="rejected"), Event("bob", A)], ["rejected", "pending"]),
    ],
)
def test_every_correction_has_a_state(events: list[Event], expected: list[State]) -> None:
    assert list(states(*build(events)).values()) == expected


def test_designation_and_description_are_not_confused() -> None:
    one = ProductContent(designation="bleue chemise")
    other = ProductContent(designation="bleue", description="chemise")

    assert product_key(one) != product_key(other)


def test_a_label_keeps_the_key_of_the_spelling_that_decided() -> None:
    """Watermarks of earlier versions hold such keys, so an upgrade starts no run."""
    spellings = [ProductContent(designation=text) for text in ("Été", "ete !", "<b>ÉTÉ</b>")]
    events = [Event(user, A, product=product) for user, product in zip("abc", spellings, strict=True)]

    labels = trusted_labels(*build(events))

    assert [product_key(spellings[1])] == [label.product_key for label in labels]
    assert 1 == len({agreement_key(product) for product in spellings})


def test_an_upgrade_makes_no_label_new_of_two_spellings_that_were_trusted_apart() -> None:
    spellings = [ProductContent(designation=text) for text in ("Été", "ete !")]
    events = [Event("rita", A, "reviewer", product=product) for product in spellings]
    before = {f"{product_key(product)}:{A}" for product in spellings}

    assert {label.fingerprint for label in trusted_labels(*build(events))} <= before


SPELLINGS = ("Été", "ETE !", "<b>été</b>", "&eacute;t&eacute;", "Hiver", "hiver…", "!!!", "???")


@given(st.lists(st.tuples(st.sampled_from(SPELLINGS), st.sampled_from((A, B))), max_size=12))
def test_no_label_of_a_reviewer_is_new_because_spellings_agree(events: list[tuple[str, int]]) -> None:
    """An upgrade from a version in which each spelling was a product starts no run for them."""
    corrections, _ = build(
        [Event("rita", code, "reviewer", product=ProductContent(designation=t)) for t, code in events]
    )
    apart = {
        label.fingerprint
        for spelling in SPELLINGS
        for label in trusted_labels([c for c in corrections if c.product and c.product.designation == spelling], {})
    }

    assert {label.fingerprint for label in trusted_labels(corrections, {})} <= apart
