"""The rule that decides which corrections are trusted, applied to all corrections and reviews at once.

A correction is trusted if a reviewer or an admin submitted it, if a reviewer approved it, or if two different users
submitted the same category for the product, however they spell it. A rejected correction is never trusted. Each user
has one vote per product, the newest. Each product has at most one label, that of the newest trusted correction.

    labels = trusted_labels(corrections, reviews)
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeVar

from product_classifier.feedback.records import Correction, ProductContent, Review, Role
from product_classifier.text.spelling import fold, letters

AGREEING_USERS = 2
State = Literal["pending", "trusted", "approved", "agreed", "rejected"]
TRUSTED_STATES: frozenset[State] = frozenset({"trusted", "approved", "agreed"})
"""States of corrections that a training uses."""


@dataclass(frozen=True, slots=True)
class Label:
    """The trusted category of a product, and the correction it comes from."""

    product_key: str
    product: ProductContent
    code: int
    feedback_id: str
    since: datetime
    reason: State

    @property
    def fingerprint(self) -> str:
        """Identity of product and category. Labels with equal fingerprints add nothing to train on."""
        return f"{self.product_key}:{self.code}"


@dataclass(frozen=True, slots=True, order=True)
class _Evidence:
    """A reason to trust a category, and when it arose."""

    since: datetime
    feedback_id: str
    code: int
    reason: State


Coded = TypeVar("Coded", _Evidence, Correction)


def product_key(product: ProductContent) -> str:
    """Return a hash of a product's text, ignoring case and spacing, and of its photo.

    Snapshots of earlier runs hold it, so it never changes: with another one an upgrade would start a run.
    """
    texts = [fold(product.designation), fold(product.description)]
    return hashlib.sha256(json.dumps([*texts, product.image_sha256]).encode()).hexdigest()


def agreement_key(product: ProductContent) -> str:
    """Return a hash that is equal for all spellings of a product: the group of its corrections.

    It ignores what `product_key` ignores, and accents, punctuation and markup. A product without a letter, a digit and
    a photo has only its spelling.
    """
    texts = [letters(product.designation), letters(product.description)]
    if not any((*texts, product.image_sha256)):
        return product_key(product)
    return hashlib.sha256(json.dumps([*texts, product.image_sha256]).encode()).hexdigest()


def initial_state(role: Role) -> State:
    """Return the state of a correction without reviews and other corrections, by the role of its user."""
    return "pending" if role == "user" else "trusted"


def trusted_labels(corrections: Iterable[Correction], reviews: Mapping[str, Review]) -> tuple[Label, ...]:
    """Return the label of every product with a trusted correction, sorted by feedback id.

    Args:
        corrections: All corrections; those without a product are ignored.
        reviews: Reviews by feedback id.
    """
    labels = []
    for group in _by_product(corrections).values():
        evidence = sorted(_evidence(group, reviews))
        if evidence:
            first = _start_of_last_streak(evidence)
            product = next(correction.product for correction in group if correction.feedback_id == first.feedback_id)
            assert product is not None  # noqa: S101 - _by_product drops the others
            labels.append(
                Label(product_key(product), product, first.code, first.feedback_id, first.since, first.reason)
            )
    return tuple(sorted(labels, key=lambda label: label.feedback_id))


def states(corrections: Iterable[Correction], reviews: Mapping[str, Review]) -> dict[str, State]:
    """Return the state of every correction by feedback id; `reviews` are by feedback id."""
    everything = list(corrections)
    found = {correction.feedback_id: _own_state(correction, reviews) for correction in everything}
    for group in _by_product(everything).values():
        agreed = {evidence.code for evidence in _agreements(group, reviews)}
        for correction in group:
            if found[correction.feedback_id] == "pending" and correction.code in agreed:
                found[correction.feedback_id] = "agreed"
    return found


def _by_product(corrections: Iterable[Correction]) -> dict[str, list[Correction]]:
    groups: dict[str, list[Correction]] = defaultdict(list)
    for correction in sorted(corrections, key=_order):
        if correction.product is not None:
            groups[agreement_key(correction.product)].append(correction)
    return groups


def _own_state(correction: Correction, reviews: Mapping[str, Review]) -> State:
    """Return the state of a correction without those of other users."""
    review = reviews.get(correction.feedback_id)
    if review is not None:
        return review.decision
    return initial_state(correction.role)


def _evidence(group: list[Correction], reviews: Mapping[str, Review]) -> list[_Evidence]:
    evidence = _agreements(group, reviews)
    for correction in group:
        state = _own_state(correction, reviews)
        if state == "trusted":
            evidence.append(_Evidence(correction.created, correction.feedback_id, correction.code, state))
        elif state == "approved":
            since = correction.created if correction.role != "user" else reviews[correction.feedback_id].created
            evidence.append(_Evidence(since, correction.feedback_id, correction.code, state))
    return evidence


def _agreements(group: list[Correction], reviews: Mapping[str, Review]) -> list[_Evidence]:
    """Return one piece of evidence per code with enough current votes, dated by the vote that completed it."""
    by_user: dict[str, list[Correction]] = defaultdict(list)
    for correction in group:
        if _own_state(correction, reviews) != "rejected":
            by_user[correction.user].append(correction)
    votes: dict[int, list[Correction]] = defaultdict(list)
    for own in by_user.values():
        vote = _start_of_last_streak(own)
        votes[vote.code].append(vote)
    deciding = (sorted(agreeing, key=_order)[AGREEING_USERS - 1 : AGREEING_USERS] for agreeing in votes.values())
    return [_Evidence(vote.created, vote.feedback_id, vote.code, "agreed") for found in deciding for vote in found]


def _order(correction: Correction) -> tuple[datetime, str]:
    return correction.created, correction.feedback_id


def _start_of_last_streak(entries: list[Coded]) -> Coded:
    """Return the first of the consecutive entries at the end with equal codes, so that repetition changes nothing."""
    first = entries[-1]
    for entry in reversed(entries):
        if entry.code != first.code:
            break
        first = entry
    return first
