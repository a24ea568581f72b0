"""Invariants of corrections and runs under operations and faults in random orders (hypothesis).

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

from inference.feedback_service.correction_decisions import CorrectionDecisions
from inference.feedback_service.service import Caller, FeedbackService, VersionedCode
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import FeedbackConflict, NotDurable, RetrainActive, StoreUnavailable
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.records import Correction, ProductContent, Role
from product_classifier.retraining import RunStore, read_snapshot, request_run
from product_classifier.retraining.settings import RetrainSettings
from product_classifier.retraining.trigger import Trigger
from tests.support.fakes import FakeStore
from tests.support.feedback_service_harness import correction_keys, make_service
from tests.support.retraining_fakes import Countdown, Dying, FakeClock, FakeLauncher, dying

STEPS = int(os.environ.get("STATE_MACHINE_STEPS", "2000"))
STEPS_EACH = 50
THRESHOLD = 2
USERS: dict[str, Role] = {"ann": "user", "bob": "user", "cid": "user", "rita": "reviewer"}
SETTINGS = RetrainSettings.model_validate(
    {"min_corrections": THRESHOLD, "RETRAIN_COOLDOWN": 30, "lease_s": 10, "start_grace_s": 5, "run_timeout_s": 10_000}
)


class FailingStore(FakeStore):
    """Fails the next write before or after the object was stored."""

    def __init__(self) -> None:
        super().__init__()
        self.failure = ""

    def put(self, key: str, data: bytes, *, only_if_absent: bool = False) -> None:
        failure, self.failure = self.failure, ""
        if failure != "before":
            super().put(key, data, only_if_absent=only_if_absent)
        if failure:
            raise StoreUnavailable(f"reset {failure} the write")


class FeedbackAndTriggers(RuleBasedStateMachine):
    """The model: what was acknowledged for which user and key, and what each run may be."""

    feedback_ids = Bundle("feedback_ids")

    @initialize()
    def begin(self) -> None:
        self.store = FailingStore()
        self.clock = FakeClock()
        self.launcher = FakeLauncher(self.store, self.clock)
        self.triggers = [Trigger(self.store, self.launcher, SETTINGS, self.clock) for _ in range(3)]
        self.restart_the_service()
        self.acknowledged: dict[tuple[str, str], tuple[int, int, str]] = {}
        self.reviewed: dict[str, str] = {}

    @rule(
        target=feedback_ids,
        user=st.sampled_from(sorted(USERS)),
        key=st.integers(0, 12),
        product=st.integers(0, 7),
        code=st.sampled_from(CHALLENGE.codes[:2]),
    )
    def correct(self, user: str, key: int, product: int, code: str) -> str:
        """A user submits a correction; users, keys, products and codes are few, so they coincide."""
        self.clock.pass_(1)
        caller, content = Caller(user, USERS[user]), (product, code)
        before = self.acknowledged.get((user, f"k{key}"))
        try:
            corrected = ProductContent(designation=f"produit {product}")
            result = self.service.correct_product(caller, f"k{key}", corrected, VersionedCode(code), "")
        except FeedbackConflict:
            assert before is None or before[:2] != content
            return ""
        except NotDurable:
            self.restart_the_service()  # a new process tries the store at once
            return ""
        identifier = result.correction.feedback_id
        assert before is None or before == (*content, identifier)
        self.acknowledged[user, f"k{key}"] = (*content, identifier)
        return identifier

    @rule(identifier=feedback_ids, decision=st.sampled_from(["approved", "rejected"]))
    def review(self, identifier: str, decision: Any) -> None:
        """A reviewer approves or rejects; the first decision stands."""
        if not identifier:
            return
        self.clock.pass_(1)
        before = self.reviewed.get(identifier)
        try:
            item = CorrectionDecisions(self.service).review(Caller("rita", "reviewer"), identifier, decision)
        except FeedbackConflict:
            assert before != decision
            return
        except NotDurable:
            self.restart_the_service()
            return
        assert before in {None, decision}
        assert item.decision is not None
        self.reviewed[identifier] = item.decision.decision

    @rule(which=st.integers(0, 2))
    def reconcile(self, which: int) -> None:
        """One of three triggers reconciles once."""
        try:
            self.triggers[which].reconcile()
        except StoreUnavailable:
            return

    @rule(which=st.integers(0, 2), at=st.integers(1, 40))
    def kill_a_trigger(self, which: int, at: int) -> None:
        """A trigger is killed while it reconciles, and restarted."""
        countdown = Countdown(at)
        store, launcher = Dying(self.store, countdown), Dying(self.launcher, countdown)
        with dying(), suppress(StoreUnavailable):
            Trigger(store, launcher, SETTINGS, self.clock).reconcile()  # type: ignore[arg-type]
        self.triggers[which] = Trigger(self.store, self.launcher, SETTINGS, self.clock)

    @rule()
    def request_a_run(self) -> None:
        """An admin requests a run."""
        index, run_store = FeedbackIndex(self.store), RunStore(self.store)
        index.refresh()
        latest = run_store.latest()
        free = latest == 0 or run_store.is_finished(latest)
        refused = None
        with suppress(StoreUnavailable):
            try:
                request_run(run_store, index.labels(), "adam", self.clock.now())
            except RetrainActive as active:
                refused = active.run_id
            assert (refused is None) == free
        assert refused in {None, self.claimed(run_store, latest)}

    def claimed(self, run_store: RunStore, generation: int) -> str | None:
        claim = run_store.claim(generation)
        return claim.run_id if claim else None

    @rule()
    def restart_the_service(self) -> None:
        """The feedback service is restarted; it has no journal, so only the store remains."""
        self.service: FeedbackService = make_service(self.store, None, self.clock.now)[0]

    @rule(failure=st.sampled_from(["before", "after"]))
    def fail_the_next_write(self, failure: str) -> None:
        """The store resets the connection before or after the next write."""
        self.store.failure = failure

    @rule()
    def lose_a_response(self) -> None:
        """The pipeline API starts the next run and its response is lost."""
        self.launcher.lose_replies = 1

    @rule(away=st.booleans())
    def pipeline_api_outage(self, away: bool) -> None:
        """An outage of the pipeline API begins or ends."""
        self.launcher.away = away

    @precondition(lambda self: self.launcher.active())
    @rule(event=st.sampled_from(["begin", "promoted", "refused", "killed"]))
    def advance_the_run(self, event: str) -> None:
        """The active run executes its first step or ends."""
        self.store.failure = ""
        if event == "begin":
            self.launcher.begin()
        else:
            self.launcher.finish(promoted=event == "promoted", killed=event == "killed")

    @rule(seconds=st.sampled_from([1.0, 20.0, 700.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.clock.pass_(seconds)

    @rule(minutes=st.integers(-120, 120))
    def jump(self, minutes: int) -> None:
        """The wall clock is set to another time."""
        self.clock.jump(timedelta(minutes=minutes).total_seconds())

    @invariant()
    def every_acknowledged_correction_is_stored_once(self) -> None:
        """I1: every acknowledged correction is stored exactly once."""
        stored = Counter(
            (found.user, found.feedback_id)
            for key in correction_keys(self.store)
            for found in [Correction.from_json(self.store.get(key), key)]
        )
        expected = {(user, content[2]) for (user, _), content in self.acknowledged.items()}
        assert expected <= stored.keys()
        assert set(stored.values()) <= {1}

    @invariant()
    def every_claim_is_one_run(self) -> None:
        """I2: exactly one execution of a run has effects, and runs do not overlap."""
        effective = Counter(run.run_id for run in self.launcher.effective() if not run.superseded)
        owners = Counter(run.run_id for run in self.launcher.runs if self.is_owner(run.execution, run.run_id))
        assert set(owners.values()) <= {1}
        assert len({run.run_id for run in self.launcher.active()}) <= 1
        assert all(count == 1 or self.launcher.active() for count in effective.values())

    def is_owner(self, execution: str, run_id: str) -> bool:
        owner = RunStore(self.store).owner(run_id)
        return owner is not None and owner.execution == execution

    def teardown(self) -> None:
        """Without faults, all trusted corrections are used by runs, except fewer than the threshold."""
        if not hasattr(self, "store"):
            return
        self.store.failure, self.launcher.away, self.launcher.lose_replies = "", False, 0
        for _ in range(40):
            for trigger in self.triggers:
                trigger.reconcile()
            self.launcher.finish()
            self.clock.pass_(90_000)
        run_store, index = RunStore(self.store), FeedbackIndex(self.store)
        index.refresh()
        assert len(run_store.new_labels(index.labels())) < THRESHOLD
        self.every_acknowledged_correction_is_stored_once()
        self.every_claim_is_one_run()
        self.every_snapshot_has_one_label_per_product(run_store)

    def every_snapshot_has_one_label_per_product(self, run_store: RunStore) -> None:
        """A snapshot has at most one label per product, and no run record is damaged."""
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
