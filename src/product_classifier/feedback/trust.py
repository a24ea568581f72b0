"""The rule that decides which corrections are trusted.

A correction is trusted if a reviewer or an admin submitted it, if a reviewer approved it, or if two different users
submitted the same category for the product, however they spell it. One that was rejected, replaced by a reviewer
(`corrected`) or taken back by its user (`withdrawn`) is never trusted. Each user has one vote per product, the newest:
an earlier one with another category is `superseded`, unless a reviewer decided about it. Each product has at most one
label, that of the newest trusted correction.

The rule looks at one product at a time: `product_states` and `product_label` apply it to the corrections of a product,
`states` and `trusted_labels` to all products.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, Protocol, TypeVar

from product_classifier.feedback.records import Correction, ProductContent, Review, Revision, Role
from product_classifier.text.spelling import fold, letters

AGREEING_USERS = 2
State = Literal["pending", "trusted", "approved", "agreed", "rejected", "corrected", "withdrawn", "superseded"]
DecisionKind = Literal["approved", "rejected", "corrected", "withdrawn"]
"""What a reviewer, or the user of the correction (`withdrawn`), decided last."""
TRUSTED_STATES: frozenset[State] = frozenset({"trusted", "approved", "agreed"})
"""States of corrections that a training uses."""
REFUSED_STATES: frozenset[State] = frozenset({"rejected", "corrected", "withdrawn"})
"""States of corrections that are no vote of their user."""


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
    """What the rule reads of the last decision about a correction."""

    @property
    def created(self) -> datetime:
        """When it was decided."""

    @property
    def decision(self) -> DecisionKind:
        """The decision."""


class LastDecision(NamedTuple):
    """The last decision about a correction; `replacement` is the one in its place, if it is `corrected`."""

    created: datetime
    user: str
    decision: DecisionKind
    replacement: str | None = None


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


def last_decision(review: Review | None, revisions: Iterable[Revision]) -> LastDecision | None:
    """Return the decision that counts about one correction, None if there is none or it was taken back."""
    newest = max(revisions, key=lambda one: (one.created, one.revision_id), default=None)
    if newest is None:
        return None if review is None else LastDecision(review.created, review.reviewer, review.decision)
    if newest.action == "reopened":
        return None
    return LastDecision(newest.created, newest.user, newest.action, newest.replacement)


def last_decisions(reviews: Mapping[str, Review], revisions: Iterable[Revision]) -> dict[str, LastDecision]:
    """Return the decisions that count by feedback id."""
    later: dict[str, list[Revision]] = defaultdict(list)
    for revision in revisions:
        later[revision.feedback_id].append(revision)
    found = {one: last_decision(reviews.get(one), later.get(one, ())) for one in {*reviews, *later}}
    return {one: decision for one, decision in found.items() if decision is not None}


def own_state(role: Role, decision: DecisionKind | None) -> State:
    """Return the state of a correction without other corrections; `decision` is the last one about it."""
    return initial_state(role) if decision is None else decision


def product_states(group: Iterable[Vote], reviews: Mapping[str, Decision]) -> dict[str, State]:
    """Return the states of one product's corrections by feedback id; `reviews` are the last decisions."""
    ordered = sorted(group, key=_order)
    agreed = {evidence.code for evidence in _agreements(ordered, reviews)}
    superseded = _superseded(ordered, reviews)
    found: dict[str, State] = {}
    for vote in ordered:
        state = _own_state(vote, reviews)
        if vote.feedback_id in superseded:
            state = "superseded"
        elif state == "pending" and vote.code in agreed:
            state = "agreed"
        found[vote.feedback_id] = state
    return found


def product_label(group: Iterable[Vote], reviews: Mapping[str, Decision]) -> Evidence | None:
    """Return the evidence that the label of one product comes from, None without a trusted correction.

    `reviews` are the last decisions.
    """
    ordered = sorted(group, key=_order)
    evidence = sorted(_evidence(ordered, reviews))
    superseded = _superseded(ordered, reviews)
    while evidence and evidence[-1].feedback_id in superseded:
        evidence.pop()
    streak = _last_streak(evidence)
    return next((one for one in streak if one.feedback_id not in superseded), None)


def trusted_labels(corrections: Iterable[Correction], reviews: Mapping[str, Decision]) -> tuple[Label, ...]:
    """Return the label of every product with a trusted correction, sorted by feedback id.

    Args:
        corrections: All corrections; those without a product are ignored.
        reviews: The last decisions by feedback id, see `last_decisions`; reviews, if there are no revisions.
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


def states(corrections: Iterable[Correction], reviews: Mapping[str, Decision]) -> dict[str, State]:
    """Return the state of every correction by feedback id; `reviews` are the last decisions."""
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
        if _own_state(correction, reviews) not in REFUSED_STATES:
            by_user[correction.user].append(correction)
    votes: dict[str, list[Vote]] = defaultdict(list)
    for own in by_user.values():
        vote = _last_streak(own)[0]
        votes[vote.code].append(vote)
    deciding = (sorted(agreeing, key=_order)[AGREEING_USERS - 1 : AGREEING_USERS] for agreeing in votes.values())
    return [Evidence(vote.created, vote.feedback_id, vote.code, "agreed") for found in deciding for vote in found]


def _superseded(group: Sequence[Vote], reviews: Mapping[str, Decision]) -> set[str]:
    """Return the ids of votes, in their order, whose user submitted another category later."""
    votes = [vote for vote in group if _own_state(vote, reviews) not in REFUSED_STATES]
    newest = {vote.user: vote.code for vote in votes}
    undecided = (vote for vote in votes if _own_state(vote, reviews) != "approved")
    return {vote.feedback_id for vote in undecided if vote.code != newest[vote.user]}


def _order(vote: Vote) -> tuple[datetime, str]:
    return vote.created, vote.feedback_id


def _last_streak(entries: Sequence[Coded]) -> Sequence[Coded]:
    """Return the consecutive entries at the end with equal codes; the first counts, so repetition changes nothing."""
    start = len(entries)
    while start and entries[start - 1].code == entries[-1].code:
        start -= 1
    return entries[start:]
