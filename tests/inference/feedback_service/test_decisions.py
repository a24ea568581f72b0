"""Decisions about corrections are taken back and superseded, and trust and watermark follow."""

import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from inference.feedback_service.correction_decisions import CorrectionDecisions
from inference.feedback_service.service import Caller, VersionedCode
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import FeedbackConflict, UnknownFeedback
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.records import ProductContent
from product_classifier.feedback.trust import TRUSTED_STATES
from product_classifier.retraining import LabelProgress, RunStore
from tests.support.fakes import FakeStore
from tests.support.feedback_service_harness import (
    RIGHT,
    WRONG,
    AdjustableClock,
    FeedbackHarness,
    make_service,
    product_correction,
    store_prediction,
)

STEPS = int(os.environ.get("STATE_MACHINE_STEPS", "600"))
STEPS_EACH = 30
CODES = CHALLENGE.codes[:3]
USERS = {
    name: Caller(name, role)
    for name, role in (("ann", "user"), ("bob", "user"), ("rita", "reviewer"), ("rolf", "reviewer"))
}  # type: ignore[arg-type]
REVIEWERS = ("rita", "rolf")
SHIRT = ProductContent(designation="Chemise bleue")


def act(harness: FeedbackHarness, feedback_id: str, action: str, user: str, role: str = "reviewer", **body: Any) -> Any:
    return harness.client.post(
        f"/feedback/{feedback_id}/{action}", headers=harness.headers(user, role), **({"json": body} if body else {})
    )


def item(harness: FeedbackHarness, feedback_id: str) -> dict[str, Any]:
    (found,) = [one for one in harness.list().json()["items"] if one["feedback_id"] == feedback_id]
    return dict(found)


class Decisions(RuleBasedStateMachine):
    """Users submit and take back, reviewers decide and undo, on two servers of one store."""

    feedback_ids = Bundle("feedback_ids")

    @initialize()
    def begin(self) -> None:
        self.store, self.clock = FakeStore(), AdjustableClock()
        self.services = [make_service(self.store, None, self.clock)[0] for _ in range(2)]
        self.decisions = [CorrectionDecisions(service) for service in self.services]
        self.votes: dict[str, list[Any]] = {}
        """Of each correction: user, code, and the stack of what was decided about it."""
        self.order: list[str] = []

    def elapse(self) -> None:
        """Let both servers find what the other one wrote."""
        self.clock.time += timedelta(seconds=1)
        for service in self.services:
            service.index.refresh()

    @rule(
        target=feedback_ids, user=st.sampled_from(sorted(USERS)), code=st.sampled_from(CODES), server=st.integers(0, 1)
    )
    def submit(self, user: str, code: str, server: int) -> str:
        """A user submits a category of the one product; the same request again finds the first one."""
        self.elapse()
        result = self.services[server].correct_product(USERS[user], None, SHIRT, VersionedCode(code), "")
        identifier = result.correction.feedback_id
        if result.destination is not None:
            self.votes[identifier] = [user, code, None]
            self.order.append(identifier)
        assert self.votes[identifier][2] != "withdrawn"
        return identifier

    @rule(
        identifier=feedback_ids,
        decision=st.sampled_from(["approved", "rejected"]),
        reviewer=st.sampled_from(REVIEWERS),
        server=st.integers(0, 1),
    )
    def review(self, identifier: str, decision: Any, reviewer: str, server: int) -> None:
        """A reviewer decides; another decision has to be undone first."""
        self.elapse()
        vote = self.votes[identifier]
        try:
            self.decisions[server].review(USERS[reviewer], identifier, decision)
        except FeedbackConflict:
            assert vote[2] not in {None, decision}
            return
        assert vote[2] in {None, decision}
        vote[2] = decision

    @rule(
        identifier=feedback_ids,
        code=st.sampled_from(CODES),
        reviewer=st.sampled_from(REVIEWERS),
        server=st.integers(0, 1),
    )
    def correct(self, identifier: str, code: str, reviewer: str, server: int) -> None:
        """A reviewer replaces a correction by another category."""
        self.elapse()
        vote = self.votes[identifier]
        if vote[1] == code or vote[2] is not None:
            return
        replaced = self.decisions[server].correct(USERS[reviewer], identifier, VersionedCode(code))
        assert replaced.decision is not None
        assert replaced.decision.replacement is not None
        self.votes[replaced.decision.replacement] = [reviewer, code, None]
        self.order.append(replaced.decision.replacement)
        vote[2] = "corrected"
        vote.append(replaced.decision.replacement)

    @rule(identifier=feedback_ids, user=st.sampled_from(sorted(USERS)), server=st.integers(0, 1))
    def undo(self, identifier: str, user: str, server: int) -> None:
        """A correction or the last decision about it is taken back."""
        self.elapse()
        vote = self.votes[identifier]
        try:
            self.decisions[server].undo(USERS[user], identifier)
        except UnknownFeedback:
            assert user not in {*REVIEWERS, vote[0]}
            return
        except FeedbackConflict:
            assert (vote[2] is None and user != vote[0]) or (vote[2] is not None and user not in REVIEWERS)
            return
        if vote[2] is None:
            assert user == vote[0]
            vote[2] = "withdrawn"
        elif vote[2] != "withdrawn":
            if vote[2] == "corrected":
                self.votes[vote.pop()][2] = "withdrawn"
            vote[2] = None

    @invariant()
    def trust_follows(self) -> None:
        """On both servers and a new one, states and label are those of the standing votes."""
        self.elapse()
        fresh = FeedbackIndex(self.store)
        fresh.refresh()
        standing = [one for one in self.order if self.votes[one][2] not in {"rejected", "corrected", "withdrawn"}]
        newest = {self.votes[one][0]: self.votes[one][1] for one in standing}
        for index in (fresh, *(service.index for service in self.services)):
            states = index.states()
            for one in self.order:
                user, code, decided = self.votes[one][:3]
                if decided is not None:
                    assert decided == states[one]
                elif code != newest[user]:
                    assert "superseded" == states[one]
                else:
                    assert states[one] in {"pending", "agreed", "trusted"}
            trusted = {self.votes[one][1] for one in self.order if states[one] in TRUSTED_STATES}
            labels = index.labels()
            assert (len(labels) == 1) == bool(trusted)
            assert {label.code for label in labels} <= trusted
            assert {states[label.feedback_id] for label in labels} <= TRUSTED_STATES
            progress = LabelProgress(index, RunStore(self.store))
            progress.update()
            assert len(labels) == progress.count()


TestDecisions = Decisions.TestCase
TestDecisions.settings = settings(
    max_examples=max(1, STEPS // STEPS_EACH),
    stateful_step_count=STEPS_EACH,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_a_user_takes_back_a_correction_and_submits_it_again(harness: FeedbackHarness) -> None:
    first = harness.submit(product_correction()).json()["feedback_id"]

    undone = act(harness, first, "undo", "ann", "user")
    repeated = act(harness, first, "undo", "ann", "user")
    second = harness.submit(product_correction())

    assert (200, "withdrawn", False) == (undone.status_code, undone.json()["state"], undone.json()["counts"])
    assert undone.json() == repeated.json()
    assert 201 == second.status_code
    assert first != second.json()["feedback_id"]
    assert (201, 200) == (second.status_code, harness.submit(product_correction()).status_code)


@pytest.mark.parametrize(
    ("user", "role", "decided", "status"),
    [
        ("bob", "user", False, 404),
        ("ann", "user", True, 409),
        ("rolf", "reviewer", False, 409),
        ("rolf", "reviewer", True, 200),
    ],
)
def test_what_may_be_taken_back(harness: FeedbackHarness, user: str, role: str, *, decided: bool, status: int) -> None:
    identifier = harness.submit(product_correction()).json()["feedback_id"]
    if decided:
        harness.review(identifier)

    response = act(harness, identifier, "undo", user, role)

    assert status == response.status_code
    assert ("approved" if decided and status != 200 else "pending") == item(harness, identifier)["state"]


def test_a_correction_is_replaced_and_the_replacement_undone(harness: FeedbackHarness) -> None:
    identifier = harness.submit(product_correction(code=RIGHT)).json()["feedback_id"]

    corrected = act(harness, identifier, "correct", "rita", code=WRONG).json()
    again = act(harness, identifier, "correct", "rita", code=WRONG).json()
    replacement = item(harness, corrected["replaced_by"])
    act(harness, identifier, "undo", "rolf")

    assert ("corrected", corrected) == (corrected["state"], again)
    assert ("trusted", WRONG, "rita") == (replacement["state"], replacement["code"], replacement["user"])
    assert "pending" == item(harness, identifier)["state"]
    assert "withdrawn" == item(harness, corrected["replaced_by"])["state"]
    assert 422 == act(harness, identifier, "correct", "rita", code=RIGHT).status_code
    assert 422 == act(harness, identifier, "correct", "rita", code=123456789).status_code
    assert 403 == act(harness, identifier, "correct", "ann", "user", code=WRONG).status_code


def test_decisions_in_bulk_are_carried_out_each_for_itself(harness: FeedbackHarness) -> None:
    first, second = (harness.submit(product_correction(f"produit {i}")).json()["feedback_id"] for i in range(2))
    missing = "019ab0f2-7d1e-7c3a-9d55-0c8f6a4be111"
    items = [
        {"feedback_id": first, "action": "approve"},
        {"feedback_id": missing, "action": "approve"},
        {"feedback_id": first, "action": "reject"},
        {"feedback_id": second, "action": "correct", "code": WRONG},
        {"feedback_id": first, "action": "undo"},
    ]

    def send(items: list[dict[str, Any]], role: str = "reviewer") -> Any:
        return harness.client.post("/feedback/bulk", json={"items": items}, headers=harness.headers("rita", role))

    results = send(items).json()["items"]

    assert [200, 404, 409, 200, 200] == [one["status"] for one in results]
    assert [True, False, False, True, True] == [one["problem"] is None for one in results]
    assert ["approved", "corrected", "pending"] == [one["correction"]["state"] for one in results if one["correction"]]
    assert results[1]["problem"]["detail"].startswith("feedback_id: no correction has the id")
    for wrong in ([], items * 50, [{"feedback_id": first, "action": "correct"}], [{**items[0], "code": WRONG}]):
        assert 422 == send(wrong).status_code
    assert 403 == send(items, "user").status_code


@pytest.fixture
def predicted(store: FakeStore) -> str:
    return store_prediction(store)


@pytest.fixture
def service(store: FakeStore, predicted: str) -> Iterator[FeedbackHarness]:
    with FeedbackHarness(store, None) as harness:
        yield harness


def test_an_item_says_what_it_is_of_and_who_must_agree(service: FeedbackHarness, predicted: str) -> None:
    service.list()  # waits for the first refresh
    confirmed = service.submit({"prediction_id": predicted, "code": WRONG}, "ann").json()["feedback_id"]
    waiting = item(service, confirmed)
    service.submit({"prediction_id": predicted, "code": WRONG}, "bob")
    agreed = item(service, confirmed)
    service.clock.time += timedelta(seconds=1)
    newer = service.submit({"prediction_id": predicted, "code": RIGHT}, "ann").json()["feedback_id"]
    superseded = item(service, confirmed)

    assert ("confirmation", 0.5, WRONG) == (
        waiting["kind"],
        waiting["prediction"]["confidence"],
        waiting["prediction"]["category"]["code"],
    )
    assert (1, ["reviewer", "second_user"]) == (waiting["agreement"]["users"], waiting["agreement"]["waits_for"])
    assert ("agreed", 2, []) == (agreed["state"], agreed["agreement"]["users"], agreed["agreement"]["waits_for"])
    assert ("superseded", newer, False) == (superseded["state"], superseded["superseded_by"], superseded["counts"])
    assert [(RIGHT, 1)] == [(one["code"], one["users"]) for one in superseded["agreement"]["others"]]


def test_lists_are_filtered_and_counted(service: FeedbackHarness, predicted: str) -> None:
    confirmation = service.submit({"prediction_id": predicted, "code": WRONG}, "ann").json()["feedback_id"]
    service.clock.time += timedelta(hours=1)
    other = service.submit(product_correction("Théière en fonte"), "bob").json()["feedback_id"]

    for query, expected in (
        ({"kind": "confirmation"}, [confirmation]),
        ({"kind": "correction"}, [other]),
        ({"category": RIGHT}, [other]),
        ({"min_confidence": 0.4, "max_confidence": 0.6}, [confirmation]),
        ({"max_confidence": 0.4}, []),
        ({"min_confidence": 0.6}, []),
        ({"user": "bob"}, [other]),
        ({"since": "2030-05-05T12:30:00Z"}, [other]),
        ({"until": "2030-05-05T12:30:00Z"}, [confirmation]),
        ({"q": "theiere font"}, [other]),
        ({"q": "theiere", "order": "uncertain"}, [other]),
    ):
        page = service.client.get("/feedback", params=query, headers=service.headers("rita", "reviewer")).json()
        assert expected == [one["feedback_id"] for one in page["items"]], query
        assert page["total"] in {None, 1}
        assert {"pending": 2} == page["counts"]
    refused = service.client.get("/feedback", params={"user": "bob"}, headers=service.headers("ann"))
    assert 403 == refused.status_code
    assert 422 == service.list(q="?!").status_code
