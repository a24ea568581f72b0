"""Feedback, store, triggers and runs against a model that says what must be true, in orders drawn by hypothesis.

2,000 steps by default; STATE_MACHINE_STEPS=50000 for more.
"""

import os
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from inference.durability.writer import DurableWriter
from inference.feedback_service.correction_replay import CorrectionReplay
from inference.feedback_service.identity import IdIndex
from inference.feedback_service.service import Desk, Person
from product_classifier.errors import FeedbackConflict, NotDurable, RetrainActive, StoreUnavailable
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.records import Correction, ProductContent, Role
from product_classifier.retraining import RunStore, read_snapshot, request_run
from product_classifier.retraining.settings import RetrainSettings
from product_classifier.retraining.trigger import Trigger
from product_classifier.taxonomy import CODES
from tests.support.fakes import FakeStore
from tests.support.feedback_service_harness import corrections
from tests.support.retraining_fakes import Countdown, Dying, FakeClock, FakeLauncher, dying

STEPS = int(os.environ.get("STATE_MACHINE_STEPS", "2000"))
STEPS_EACH = 50
THRESHOLD = 2
USERS: dict[str, Role] = {"ann": "user", "bob": "user", "cid": "user", "rita": "reviewer"}
SETTINGS = RetrainSettings.model_validate(
    {"min_corrections": THRESHOLD, "RETRAIN_COOLDOWN": 30, "lease_s": 10, "start_grace_s": 5, "run_timeout_s": 10_000}
)


class Flaky(FakeStore):
    """Fails the next write, before or after doing it."""

    def __init__(self) -> None:
        super().__init__()
        self.fate = ""

    def put(self, key: str, data: bytes, *, only_if_absent: bool = False) -> None:
        fate, self.fate = self.fate, ""
        if fate != "before":
            super().put(key, data, only_if_absent=only_if_absent)
        if fate:
            raise StoreUnavailable(f"reset {fate} the write")


class FeedbackAndTriggers(RuleBasedStateMachine):
    """The model: what was acknowledged under which key, and what a run may be."""

    given = Bundle("given")

    @initialize()
    def begin(self) -> None:
        self.store = Flaky()
        self.clock = FakeClock()
        self.launcher = FakeLauncher(self.store, self.clock)
        self.triggers = [Trigger(self.store, self.launcher, SETTINGS, self.clock) for _ in range(3)]
        self.desk = self.make_desk()
        self.acknowledged: dict[tuple[str, str], tuple[int, int, str]] = {}
        self.reviewed: dict[str, str] = {}

    def make_desk(self) -> Desk:
        ids, book = IdIndex(self.store), FeedbackIndex(self.store)
        writer = DurableWriter(self.store, None, CorrectionReplay(self.store, ids, self.clock.now))
        return Desk(self.store, writer, ids, book, self.clock.now)

    @rule(
        target=given,
        user=st.sampled_from(sorted(USERS)),
        key=st.integers(0, 12),
        product=st.integers(0, 7),
        code=st.sampled_from(CODES[:2]),
    )
    def correct(self, user: str, key: int, product: int, code: int) -> str:
        """Anybody corrects anything, with keys that meet now and then."""
        self.clock.pass_(1)
        person, said = Person(user, USERS[user]), (product, code)
        before = self.acknowledged.get((user, f"k{key}"))
        try:
            content = ProductContent(designation=f"produit {product}")
            handed = self.desk.correct_product(person, f"k{key}", content, code, "")
        except FeedbackConflict:
            assert before is None or before[:2] != said
            return ""
        except NotDurable:
            self.desk = self.make_desk()  # the store is looked at again at once
            return ""
        identifier = handed.correction.feedback_id
        assert before is None or before == (*said, identifier)
        self.acknowledged[user, f"k{key}"] = (*said, identifier)
        return identifier

    @rule(identifier=given, decision=st.sampled_from(["approved", "rejected"]))
    def review(self, identifier: str, decision: Any) -> None:
        """A reviewer decides; the first decision stands."""
        if not identifier:
            return
        self.clock.pass_(1)
        before = self.reviewed.get(identifier)
        try:
            _, review = self.desk.review(Person("rita", "reviewer"), identifier, decision, "")
        except FeedbackConflict:
            assert before != decision
            return
        except NotDurable:
            self.desk = self.make_desk()
            return
        assert before in {None, decision}
        self.reviewed[identifier] = review.decision

    @rule(which=st.integers(0, 2))
    def look(self, which: int) -> None:
        """One of three triggers takes a step."""
        try:
            self.triggers[which].reconcile()
        except StoreUnavailable:
            return

    @rule(which=st.integers(0, 2), at=st.integers(1, 40))
    def die(self, which: int, at: int) -> None:
        """A trigger dies in the middle of a step and is started anew."""
        countdown = Countdown(at)
        store, launcher = Dying(self.store, countdown), Dying(self.launcher, countdown)
        with dying(), suppress(StoreUnavailable):
            Trigger(store, launcher, SETTINGS, self.clock).reconcile()  # type: ignore[arg-type]
        self.triggers[which] = Trigger(self.store, self.launcher, SETTINGS, self.clock)

    @rule()
    def ask(self) -> None:
        """An admin asks for a run."""
        book, run_store = FeedbackIndex(self.store), RunStore(self.store)
        book.refresh()
        latest = run_store.latest()
        free = latest == 0 or run_store.is_finished(latest)
        refused = None
        with suppress(StoreUnavailable):
            try:
                request_run(run_store, book.labels(), "adam", self.clock.now())
            except RetrainActive as active:
                refused = active.run_id
            assert (refused is None) == free
        assert refused in {None, self.claimed(run_store, latest)}

    def claimed(self, run_store: RunStore, generation: int) -> str | None:
        claim = run_store.claim(generation)
        return claim.run_id if claim else None

    @rule()
    def restart_the_desk(self) -> None:
        """The feedback service forgets everything that is not in the store."""
        self.desk = self.make_desk()

    @rule(fate=st.sampled_from(["before", "after"]))
    def fail_the_next_write(self, fate: str) -> None:
        """The store resets the connection."""
        self.store.fate = fate

    @rule()
    def lose_a_reply(self) -> None:
        """The pipeline API starts a run and does not say so."""
        self.launcher.lose_replies = 1

    @rule(away=st.booleans())
    def pipeline_api(self, away: bool) -> None:
        """It goes away and comes back."""
        self.launcher.away = away

    @precondition(lambda self: self.launcher.active())
    @rule(how=st.sampled_from(["begin", "promoted", "refused", "killed"]))
    def run(self, how: str) -> None:
        """The run that is active goes on or ends."""
        self.store.fate = ""
        if how == "begin":
            self.launcher.begin()
        else:
            self.launcher.finish(promoted=how == "promoted", killed=how == "killed")

    @rule(seconds=st.sampled_from([1.0, 20.0, 700.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.clock.pass_(seconds)

    @rule(minutes=st.integers(-120, 120))
    def jump(self, minutes: int) -> None:
        """The wall clock is set."""
        self.clock.jump(timedelta(minutes=minutes).total_seconds())

    @invariant()
    def every_acknowledged_correction_is_stored_once(self) -> None:
        """I1."""
        kept = Counter(
            (found.user, found.feedback_id)
            for key in corrections(self.store)
            for found in [Correction.from_json(self.store.get(key), key)]
        )
        expected = {(user, said[2]) for (user, _), said in self.acknowledged.items()}
        assert expected <= kept.keys()
        assert set(kept.values()) <= {1}

    @invariant()
    def every_claim_is_one_run(self) -> None:
        """I2: at most one execution of a run does anything, and runs do not overlap."""
        effective = Counter(run.run_id for run in self.launcher.effective() if not run.superseded)
        owners = Counter(run.run_id for run in self.launcher.runs if self.is_owner(run.execution, run.run_id))
        assert set(owners.values()) <= {1}
        assert len({run.run_id for run in self.launcher.active()}) <= 1
        assert all(count == 1 or self.launcher.active() for count in effective.values())

    def is_owner(self, execution: str, run_id: str) -> bool:
        owner = RunStore(self.store).owner(run_id)
        return owner is not None and owner.execution == execution

    def teardown(self) -> None:
        """When everything is well again, every label that counts is learned unless too few are left."""
        if not hasattr(self, "store"):
            return
        self.store.fate, self.launcher.away, self.launcher.lose_replies = "", False, 0
        for _ in range(40):
            for trigger in self.triggers:
                trigger.reconcile()
            self.launcher.finish()
            self.clock.pass_(90_000)
        run_store, book = RunStore(self.store), FeedbackIndex(self.store)
        book.refresh()
        assert len(run_store.new_labels(book.labels())) < THRESHOLD
        self.every_acknowledged_correction_is_stored_once()
        self.every_claim_is_one_run()
        self.snapshots_hold_only_what_counts(run_store)

    def snapshots_hold_only_what_counts(self, run_store: RunStore) -> None:
        """No run ever learned from a correction that was rejected before, or two labels for one product."""
        for run in self.launcher.runs:
            items = read_snapshot(self.store, run.snapshot).corrections
            assert len({item.product_key for item in items}) == len(items)
        assert run_store.damaged == {}


TestFeedbackAndTriggers = FeedbackAndTriggers.TestCase
TestFeedbackAndTriggers.settings = settings(
    max_examples=max(1, STEPS // STEPS_EACH),
    stateful_step_count=STEPS_EACH,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
