"""The rule that decides which corrections are trusted.

A correction is trusted if a reviewer or an admin submitted it, if a reviewer approved it, or if two different users
submitted the same category for the product, however they spell it. A rejected correction is never trusted. Each user
has one vote per product, the newest. Each product has at most one label, that of the newest trusted correction.

The rule looks at one product at a time: `product_states` and `product_label` apply it to the corrections of a product,
`states` and `trusted_labels` to all products.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, TypeVar

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
    code: str
    feedback_id: str
    since: datetime
    reason: State
    taxonomy_version: int | None = None
    """Version of the taxonomy that `code` is read in; None is the first."""

    @property
    def fingerprint(self) -> str:
        """Identity of product and category. Labels with equal fingerprints add nothing to train on."""
        return f"{self.product_key}:{self.code}"


@dataclass(frozen=True, slots=True, order=True)
class Evidence:
    """A reason to trust a category, and when it arose."""

    since: datetime
    feedback_id: str
    code: str
    reason: State


class Vote(Protocol):
    """What the rule reads of a correction."""

    @property
    def feedback_id(self) -> str:
        """Id of the correction; of two votes of one moment the greater id is the newer."""

    @property
    def created(self) -> datetime:
        """When the user submitted it."""

    @property
    def user(self) -> str:
        """Who submitted it."""

    @property
    def role(self) -> Role:
        """Role of the user."""

    @property
    def code(self) -> str:
        """The category."""


class Decision(Protocol):
    """What the rule reads of a review."""

    @property
    def created(self) -> datetime:
        """When the reviewer decided."""

    @property
    def decision(self) -> Literal["approved", "rejected"]:
        """The decision."""


class _Coded(Protocol):
    @property
    def code(self) -> str: ...


Coded = TypeVar("Coded", bound=_Coded)


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


def own_state(role: Role, decision: Literal["approved", "rejected"] | None) -> State:
    """Return the state of a correction without those of other users; `decision` is that of its review."""
    return initial_state(role) if decision is None else decision


def product_states(group: Iterable[Vote], reviews: Mapping[str, Decision]) -> dict[str, State]:
    """Return the states of the corrections of one product by feedback id; `reviews` are by feedback id."""
    ordered = sorted(group, key=_order)
    agreed = {evidence.code for evidence in _agreements(ordered, reviews)}
    found = {}
    for vote in ordered:
        state = _own_state(vote, reviews)
        found[vote.feedback_id] = "agreed" if state == "pending" and vote.code in agreed else state
    return found


def product_label(group: Iterable[Vote], reviews: Mapping[str, Decision]) -> Evidence | None:
    """Return the evidence that the label of one product comes from, None without a trusted correction."""
    evidence = sorted(_evidence(sorted(group, key=_order), reviews))
    return _start_of_last_streak(evidence) if evidence else None


def trusted_labels(corrections: Iterable[Correction], reviews: Mapping[str, Review]) -> tuple[Label, ...]:
    """Return the label of every product with a trusted correction, sorted by feedback id.

    Args:
        corrections: All corrections; those without a product are ignored.
        reviews: Reviews by feedback id.
    """
    labels = []
    for group in _by_product(corrections).values():
        first = product_label(group, reviews)
        if first is not None:
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
        found |= product_states(group, reviews)
    return found


def _by_product(corrections: Iterable[Correction]) -> dict[str, list[Correction]]:
    groups: dict[str, list[Correction]] = defaultdict(list)
    for correction in corrections:
        if correction.product is not None:
            groups[agreement_key(correction.product)].append(correction)
    return groups


def _own_state(vote: Vote, reviews: Mapping[str, Decision]) -> State:
    review = reviews.get(vote.feedback_id)
    return own_state(vote.role, None if review is None else review.decision)


def _evidence(group: Sequence[Vote], reviews: Mapping[str, Decision]) -> list[Evidence]:
    evidence = _agreements(group, reviews)
    for correction in group:
        state = _own_state(correction, reviews)
        if state == "trusted":
            evidence.append(Evidence(correction.created, correction.feedback_id, correction.code, state))
        elif state == "approved":
            since = correction.created if correction.role != "user" else reviews[correction.feedback_id].created
            evidence.append(Evidence(since, correction.feedback_id, correction.code, state))
    return evidence


def _agreements(group: Sequence[Vote], reviews: Mapping[str, Decision]) -> list[Evidence]:
    """Return one piece of evidence per code with enough current votes, dated by the vote that completed it."""
    by_user: dict[str, list[Vote]] = defaultdict(list)
    for correction in group:
        if _own_state(correction, reviews) != "rejected":
            by_user[correction.user].append(correction)
    votes: dict[str, list[Vote]] = defaultdict(list)
    for own in by_user.values():
        vote = _start_of_last_streak(own)
        votes[vote.code].append(vote)
    deciding = (sorted(agreeing, key=_order)[AGREEING_USERS - 1 : AGREEING_USERS] for agreeing in votes.values())
    return [Evidence(vote.created, vote.feedback_id, vote.code, "agreed") for found in deciding for vote in found]


def _order(vote: Vote) -> tuple[datetime, str]:
    return vote.created, vote.feedback_id


def _start_of_last_streak(entries: list[Coded]) -> Coded:
    """Return the first of the consecutive entries at the end with equal codes, so that repetition changes nothing."""
    first = entries[-1]
    for entry in reversed(entries):
        if entry.code != first.code:
            break
        first = entry
    return first
