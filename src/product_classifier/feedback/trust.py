"""Which corrections count, decided from all corrections and reviews at once.

A correction counts when a reviewer or an admin gave it, when a reviewer approved it, or when two different users say
the same of a product. What a reviewer rejected never counts. Of several labels for a product the newest trustworthy
one wins; a product gives at most one label, and a user has one vote on it: the newest.

    labels = trusted_labels(corrections, reviews)
"""

import hashlib
import json
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeVar

from product_classifier.feedback.records import Correction, ProductContent, Review

AGREEING_USERS = 2
State = Literal["pending", "trusted", "approved", "agreed", "rejected"]


@dataclass(frozen=True, slots=True)
class Label:
    """What is believed of a product; `feedback_id` is the correction that made it so."""

    product_key: str
    product: ProductContent
    code: int
    feedback_id: str
    since: datetime
    reason: State

    @property
    def fingerprint(self) -> str:
        """Same product and same code, whoever said it: nothing new to learn."""
        return f"{self.product_key}:{self.code}"


@dataclass(frozen=True, slots=True, order=True)
class _Statement:
    """Something that made a code trustworthy, at a moment."""

    since: datetime
    feedback_id: str
    code: int
    reason: State


Said = TypeVar("Said", _Statement, Correction)


def product_key(product: ProductContent) -> str:
    """Return what identifies a product: the same words, case and spacing apart, and the same photo."""
    words = [" ".join(unicodedata.normalize("NFKC", text).casefold().split()) for text in _texts(product)]
    return hashlib.sha256(json.dumps([*words, product.image_sha256]).encode()).hexdigest()


def trusted_labels(corrections: Iterable[Correction], reviews: Mapping[str, Review]) -> tuple[Label, ...]:
    """Return one label per product of which something trustworthy was said, ordered by the id of its correction."""
    labels = []
    for key, group in _by_product(corrections).items():
        statements = sorted(_statements(group, reviews))
        if statements:
            first = _start_of_last_run(statements)
            product = next(correction.product for correction in group if correction.feedback_id == first.feedback_id)
            assert product is not None  # noqa: S101 - _by_product drops the others
            labels.append(Label(key, product, first.code, first.feedback_id, first.since, first.reason))
    return tuple(sorted(labels, key=lambda label: label.feedback_id))


def states(corrections: Iterable[Correction], reviews: Mapping[str, Review]) -> dict[str, State]:
    """Return the state of every correction, by its id."""
    everything = list(corrections)
    found = {correction.feedback_id: _own_state(correction, reviews) for correction in everything}
    for group in _by_product(everything).values():
        agreed = {statement.code for statement in _agreements(group, reviews)}
        for correction in group:
            if found[correction.feedback_id] == "pending" and correction.code in agreed:
                found[correction.feedback_id] = "agreed"
    return found


def _texts(product: ProductContent) -> tuple[str, str]:
    return product.designation, product.description


def _by_product(corrections: Iterable[Correction]) -> dict[str, list[Correction]]:
    groups: dict[str, list[Correction]] = defaultdict(list)
    for correction in sorted(corrections, key=_order):
        if correction.product is not None:
            groups[product_key(correction.product)].append(correction)
    return groups


def _own_state(correction: Correction, reviews: Mapping[str, Review]) -> State:
    review = reviews.get(correction.feedback_id)
    if review is not None:
        return review.decision
    return "pending" if correction.role == "user" else "trusted"


def _statements(group: list[Correction], reviews: Mapping[str, Review]) -> list[_Statement]:
    statements = _agreements(group, reviews)
    for correction in group:
        state = _own_state(correction, reviews)
        if state == "trusted":
            statements.append(_Statement(correction.created, correction.feedback_id, correction.code, state))
        elif state == "approved":
            since = correction.created if correction.role != "user" else reviews[correction.feedback_id].created
            statements.append(_Statement(since, correction.feedback_id, correction.code, state))
    return statements


def _agreements(group: list[Correction], reviews: Mapping[str, Review]) -> list[_Statement]:
    """Return one statement per code that enough users vote for now, dated by the vote that completed it."""
    said: dict[str, list[Correction]] = defaultdict(list)
    for correction in group:
        if _own_state(correction, reviews) != "rejected":
            said[correction.user].append(correction)
    votes: dict[int, list[Correction]] = defaultdict(list)
    for own in said.values():
        vote = _start_of_last_run(own)
        votes[vote.code].append(vote)
    deciding = (sorted(agreeing, key=_order)[AGREEING_USERS - 1 : AGREEING_USERS] for agreeing in votes.values())
    return [_Statement(vote.created, vote.feedback_id, vote.code, "agreed") for found in deciding for vote in found]


def _order(correction: Correction) -> tuple[datetime, str]:
    return correction.created, correction.feedback_id


def _start_of_last_run(said: list[Said]) -> Said:
    """Return the first of the entries at the end that say the same: repeating oneself is not news."""
    first = said[-1]
    for entry in reversed(said):
        if entry.code != first.code:
            break
        first = entry
    return first
