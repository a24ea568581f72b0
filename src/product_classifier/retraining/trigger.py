"""Compare what is believed with what was learned, and see to it that exactly one run makes up the difference.

`reconcile` looks at the store and the launcher, takes the next step if there is one, and says what it saw. It keeps
no state that matters: it may die between any two lines, and any number may run at once. The clock is used for the
cool-down and for leases only, never to decide which run is the right one.
"""

import uuid
from datetime import UTC, datetime
from math import inf
from time import monotonic
from typing import Literal, Protocol

from product_classifier.errors import LauncherUnavailable, LaunchRefused, ObjectExists
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.records import Record
from product_classifier.retraining.launcher import Execution, Launcher
from product_classifier.retraining.run_records import Claim, Outcome, RunResult, StartLease
from product_classifier.retraining.run_store import RunStore
from product_classifier.retraining.settings import RetrainSettings
from product_classifier.store import ObjectStore

Step = Literal["waiting", "cooling", "claimed", "starting", "started", "running", "closed", "launcher_away"]
LONGEST_PAUSE_S = 86_400


class Clock(Protocol):
    """Wall time may jump; `elapsed` only grows."""

    def now(self) -> datetime:
        """Return the wall time."""

    def elapsed(self) -> float:
        """Return seconds since some moment."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """Return the wall time."""
        return datetime.now(UTC)

    def elapsed(self) -> float:
        """Return seconds since some moment."""
        return monotonic()


class ReconcileResult(Record):
    """What a trigger saw and did."""

    step: Step
    run_id: str | None = None
    corrections: int | None = None
    reason: str = ""


class Trigger:
    """One of any number of equal triggers."""

    def __init__(
        self, store: ObjectStore, launcher: Launcher, settings: RetrainSettings, clock: Clock | None = None
    ) -> None:
        self.feedback_index = FeedbackIndex(store)
        self._run_store = RunStore(store)
        self._launcher = launcher
        self._settings = settings
        self._clock = clock or SystemClock()
        self._name = uuid.uuid4().hex
        self._first_seen: dict[str, float] = {}
        self._uncertain_until = -inf

    def reconcile(self) -> ReconcileResult:
        """Take the next step; raises `StoreUnavailable` when the store is away."""
        latest = self._run_store.latest()
        if latest == 0 or self._run_store.is_finished(latest):
            return self._consider(latest)
        claim = self._run_store.claim(latest)
        if claim is None:
            return self._close_damaged(latest)
        try:
            return self._advance(claim)
        except LauncherUnavailable as error:
            return ReconcileResult(step="launcher_away", run_id=claim.run_id, reason=str(error))

    def _consider(self, latest: int) -> ReconcileResult:
        """Nothing runs: is a run due?"""
        self.feedback_index.refresh()
        labels = self.feedback_index.labels()
        count = len(self._run_store.new_labels(labels))
        if count < self._settings.min_corrections:
            return ReconcileResult(step="waiting", corrections=count)
        if (rest := self._cooldown_left(latest)) > 0:
            return ReconcileResult(step="cooling", corrections=count, reason=f"{rest:.0f} s left")
        try:
            claim = self._run_store.claim_run(
                latest + 1, labels, cause="threshold", requested_by="trigger", now=self._clock.now()
            )
        except ObjectExists:
            return ReconcileResult(step="claimed", corrections=count, reason="by another trigger")
        return ReconcileResult(step="claimed", run_id=claim.run_id, corrections=claim.corrections)

    def _advance(self, claim: Claim) -> ReconcileResult:
        """Run `claim` is not over: bring it one step further."""
        execution = self._launcher.find(claim.run_id)
        if execution is Execution.ACTIVE:
            return self._watch(claim)
        verdict = self._run_store.verdict(claim.run_id)
        if verdict is not None:
            return self._close(claim, "succeeded", "; ".join(verdict.reasons) or "the run has decided")
        if execution is None:
            return self._start(claim)
        return self._close(claim, "failed", self._why(claim, "its processes ended without a verdict"))

    def _start(self, claim: Claim) -> ReconcileResult:
        if self._run_store.owner(claim.run_id) is not None:
            return self._close(claim, "failed", self._why(claim, "the run began and its execution has disappeared"))
        attempt, start = self._run_store.latest_start_lease(claim.run_id)
        if attempt == 0 or start is None or (start.trigger != self._name and self._has_expired(claim, attempt, start)):
            attempt += 1
            if not self._run_store.acquire_start_lease(claim.run_id, attempt, self._name, self._clock.now()):
                return ReconcileResult(step="starting", run_id=claim.run_id, reason="by another trigger")
        elif start.trigger != self._name:
            return ReconcileResult(step="starting", run_id=claim.run_id, reason="by another trigger")
        return self._launch(claim)

    def _launch(self, claim: Claim) -> ReconcileResult:
        """StartLease the run: this trigger holds the right to, but may have slept since it looked."""
        looked = self._clock.elapsed()
        if self._launcher.find(claim.run_id) is not None or self._run_store.is_finished(claim.generation):
            return ReconcileResult(step="running", run_id=claim.run_id)
        if self._clock.elapsed() - looked > self._settings.lease_s / 2:
            return ReconcileResult(step="starting", run_id=claim.run_id, reason="too slow, looking again")
        if looked < self._uncertain_until:
            return ReconcileResult(step="starting", run_id=claim.run_id, reason="the last start may still show up")
        try:
            self._launcher.start(claim.run_id, claim.snapshot)
        except LauncherUnavailable:
            self._uncertain_until = self._clock.elapsed() + self._settings.start_grace_s
            raise
        except LaunchRefused as error:
            return self._close(claim, "failed", f"the run cannot be started: {error}")
        return ReconcileResult(step="started", run_id=claim.run_id, corrections=claim.corrections)

    def _watch(self, claim: Claim) -> ReconcileResult:
        if self._watched_s(f"run {claim.run_id}") < self._settings.run_timeout_s:
            return ReconcileResult(step="running", run_id=claim.run_id)
        self._launcher.stop(claim.run_id)
        if self._run_store.verdict(claim.run_id) is not None:
            return self._close(claim, "succeeded", "decided, but did not end by itself")
        return self._close(claim, "failed", f"stopped after {self._settings.run_timeout_s:.0f} s")

    def _why(self, claim: Claim, otherwise: str) -> str:
        failure = self._run_store.failure(claim.run_id)
        return str(failure) if failure else otherwise

    def _close(self, claim: Claim, outcome: Outcome, reason: str) -> ReconcileResult:
        return self._close_number(claim.generation, claim.run_id, outcome, reason)

    def _close_number(self, generation: int, run_id: str, outcome: Outcome, reason: str) -> ReconcileResult:
        closing = self._run_store.finish(generation, run_id, outcome, reason, self._clock.now())
        return ReconcileResult(step="closed", run_id=run_id, reason=f"{closing.outcome}: {closing.reason}")

    def _close_damaged(self, generation: int) -> ReconcileResult:
        """Nobody can say what this claim was; its execution, if there is one, cannot take the run any more."""
        return self._close_number(generation, f"retrain-{generation:06}-{'0' * 12}", "failed", "the claim is damaged")

    def _has_expired(self, claim: Claim, attempt: int, start: StartLease) -> bool:
        age = max(self._since(start), self._watched_s(f"start {claim.run_id} {attempt}"))
        return age >= self._settings.lease_s

    def _cooldown_left(self, latest: int) -> float:
        """Return seconds until the next run may start; failures in a row make the pause longer."""
        closing = self._run_store.result(latest)
        if closing is None:
            return 0.0
        pause = min(self._settings.cooldown_s * float(2 ** self._failures()), LONGEST_PAUSE_S)
        return pause - max(self._since(closing), self._watched_s(f"closing {latest}"))

    def _failures(self) -> int:
        count = 0
        for closing in self._run_store.results():
            if closing.outcome == "succeeded":
                break
            count += 1
        return min(count, 20)

    def _since(self, record: RunResult | StartLease) -> float:
        return (self._clock.now() - record.created).total_seconds()

    def _watched_s(self, what: str) -> float:
        """Return how long this trigger has seen something, by a clock that does not jump."""
        now = self._clock.elapsed()
        return now - self._first_seen.setdefault(what, now)
