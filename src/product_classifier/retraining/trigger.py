"""Reconcile trusted corrections with the watermark: start one run when enough are new.

`reconcile` reads the store and the launcher, takes at most one step and returns what it observed. It is level-triggered
and holds no state required for correctness: it may crash at any line, and any number of triggers may run. The clock
affects only the cooldown and leases, never which run is claimed.
"""

import uuid
from datetime import UTC, datetime
from math import inf
from time import monotonic
from typing import Literal, Protocol

from product_classifier.errors import LauncherUnavailable, LaunchRefused, ObjectExists
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.records import Record
from product_classifier.retraining.drift_request import read_drift_request
from product_classifier.retraining.label_progress import LabelProgress
from product_classifier.retraining.launcher import Execution, Launcher
from product_classifier.retraining.run_records import Cause, Claim, Outcome, RunResult, StartLease
from product_classifier.retraining.run_store import RunStore
from product_classifier.retraining.settings import RetrainSettings
from product_classifier.store import ObjectStore
from product_classifier.tracing import run_span

Step = Literal["indexing", "waiting", "cooling", "claimed", "starting", "started", "running", "closed", "launcher_away"]
MAX_PAUSE_S = 86_400
PENDING_S = 5.0
"""Time between two requests for the reason why an execution does not start."""
REFRESH_BUDGET_S = 20.0
"""Time of one reconciliation for building the index; less than that after which the process counts as hung."""


class Clock(Protocol):
    """Wall time and monotonic time."""

    def now(self) -> datetime:
        """Return the wall time (UTC), which may be adjusted."""

    def elapsed(self) -> float:
        """Return monotonic seconds."""


class SystemClock:
    """The clocks of the operating system."""

    def now(self) -> datetime:
        """Return the wall time."""
        return datetime.now(UTC)

    def elapsed(self) -> float:
        """Return monotonic seconds."""
        return monotonic()


class ReconcileResult(Record):
    """Step taken by one reconciliation."""

    step: Step
    run_id: str | None = None
    corrections: int | None = None
    reason: str = ""


class Trigger:
    """Starts, watches and finishes retraining runs. Any number of triggers may share a store."""

    def __init__(
        self,
        store: ObjectStore,
        launcher: Launcher,
        settings: RetrainSettings,
        clock: Clock | None = None,
        index: FeedbackIndex | None = None,
    ) -> None:
        self.feedback_index = index or FeedbackIndex(store)
        self._run_store = RunStore(store)
        self._progress = LabelProgress(self.feedback_index, self._run_store)
        self._launcher = launcher
        self._settings = settings
        self._clock = clock or SystemClock()
        self._name = uuid.uuid4().hex
        self._first_seen: dict[str, float] = {}
        self._uncertain_until = -inf
        self._pending, self._pending_due = "", -inf

    def reconcile(self) -> ReconcileResult:
        """Take the next step, if any.

        Raises:
            StoreUnavailable: If the store cannot be reached.
        """
        latest = self._run_store.latest()
        if latest == 0 or self._run_store.is_finished(latest):
            return self._claim_if_due(latest)
        claim = self._run_store.claim(latest)
        if claim is None:
            return self._finish_damaged(latest)
        try:
            return self._advance(claim)
        except LauncherUnavailable as error:
            return ReconcileResult(step="launcher_away", run_id=claim.run_id, reason=str(error))

    def _claim_if_due(self, latest: int) -> ReconcileResult:
        """Claim the next run if enough corrections are new and the cooldown has passed."""
        if not self.feedback_index.refresh(REFRESH_BUDGET_S):
            reason = f"{self.feedback_index.unread_count()} corrections and reviews are not indexed yet"
            return ReconcileResult(step="indexing", reason=reason)
        self._progress.update()
        count = self._progress.count()
        drift = read_drift_request(self._run_store.store, self._succeeded_at())
        needed = self._settings.min_corrections
        if drift is not None:
            needed = min(needed, drift.min_corrections)
        if count < needed:
            reason = f"drift in {drift.window_id}: {count} of {needed} trusted corrections are new" if drift else ""
            return ReconcileResult(step="waiting", corrections=count, reason=reason)
        if (rest := self._cooldown_left(latest)) > 0:
            return ReconcileResult(step="cooling", corrections=count, reason=f"{rest:.0f} s left")
        try:
            cause: Cause = "threshold" if count >= self._settings.min_corrections else "drift"
            claim = self._progress.claim(latest + 1, cause=cause, requested_by="trigger", now=self._clock.now())
        except ObjectExists:
            return ReconcileResult(step="claimed", corrections=count, reason="by another trigger")
        return ReconcileResult(step="claimed", run_id=claim.run_id, corrections=claim.corrections)

    def _advance(self, claim: Claim) -> ReconcileResult:
        """Take the next step of an unfinished run."""
        execution = self._launcher.find(claim.run_id)
        if execution is Execution.ACTIVE:
            return self._watch(claim)
        verdict = self._run_store.verdict(claim.run_id)
        if verdict is not None:
            return self._finish(claim, "succeeded", "; ".join(verdict.reasons) or "the run has a verdict")
        if execution is None:
            return self._start(claim)
        return self._finish(claim, "failed", self._failure_reason(claim, "the execution ended without a verdict"))

    def _start(self, claim: Claim) -> ReconcileResult:
        if self._run_store.owner(claim.run_id) is not None:
            return self._finish(
                claim, "failed", self._failure_reason(claim, "the execution started and no longer exists")
            )
        attempt, start = self._run_store.latest_start_lease(claim.run_id)
        if attempt == 0 or start is None or (start.trigger != self._name and self._has_expired(claim, attempt, start)):
            attempt += 1
            if not self._run_store.acquire_start_lease(claim.run_id, attempt, self._name, self._clock.now()):
                return ReconcileResult(step="starting", run_id=claim.run_id, reason="by another trigger")
        elif start.trigger != self._name:
            return ReconcileResult(step="starting", run_id=claim.run_id, reason="by another trigger")
        return self._launch(claim)

    def _launch(self, claim: Claim) -> ReconcileResult:
        """Start the execution; this trigger holds the lease but may have been suspended since it acquired it."""
        checked = self._clock.elapsed()
        if self._launcher.find(claim.run_id) is not None or self._run_store.is_finished(claim.generation):
            return ReconcileResult(step="running", run_id=claim.run_id)
        if self._clock.elapsed() - checked > self._settings.lease_s / 2:
            return ReconcileResult(
                step="starting", run_id=claim.run_id, reason="the check took too long; reconciling again"
            )
        if checked < self._uncertain_until:
            return ReconcileResult(
                step="starting", run_id=claim.run_id, reason="the last start request may still take effect"
            )
        try:
            with run_span("start run", claim.run_id, corrections=claim.corrections):
                self._launcher.start(claim.run_id, claim.snapshot)
        except LauncherUnavailable:
            self._uncertain_until = self._clock.elapsed() + self._settings.start_grace_s
            raise
        except LaunchRefused as error:
            return self._finish(claim, "failed", f"the run cannot be started: {error}")
        return ReconcileResult(step="started", run_id=claim.run_id, corrections=claim.corrections)

    def _watch(self, claim: Claim) -> ReconcileResult:
        if self._observed_s(f"run {claim.run_id}") < self._settings.run_timeout_s:
            return ReconcileResult(step="running", run_id=claim.run_id, reason=self._pending_reason(claim))
        self._launcher.stop(claim.run_id)
        if self._run_store.verdict(claim.run_id) is not None:
            return self._finish(claim, "succeeded", "the run had a verdict but did not end by itself")
        pending = self._run_store.pending_reason(claim.run_id)
        reason = f"stopped after {self._settings.run_timeout_s:.0f} s{f'; {pending}' if pending else ''}"
        return self._finish(claim, "failed", reason)

    def _pending_reason(self, claim: Claim) -> str:
        """Return and store why the execution does not start; requested at most every `PENDING_S`."""
        if (now := self._clock.elapsed()) >= self._pending_due:
            self._pending_due = now + PENDING_S
            self._pending = self._launcher.pending_reason(claim.run_id)
            self._run_store.report_pending(claim.run_id, self._pending, self._clock.now())
        return self._pending

    def _failure_reason(self, claim: Claim, default: str) -> str:
        failure = self._run_store.failure(claim.run_id)
        return str(failure) if failure else default

    def _finish(self, claim: Claim, outcome: Outcome, reason: str) -> ReconcileResult:
        return self._finish_number(claim.generation, claim.run_id, outcome, reason)

    def _finish_number(self, generation: int, run_id: str, outcome: Outcome, reason: str) -> ReconcileResult:
        result = self._run_store.finish(generation, run_id, outcome, reason, self._clock.now())
        return ReconcileResult(step="closed", run_id=run_id, reason=f"{result.outcome}: {result.reason}")

    def _finish_damaged(self, generation: int) -> ReconcileResult:
        """Finish a run whose claim cannot be parsed, so that no execution can own it."""
        return self._finish_number(
            generation, f"retrain-{generation:06}-{'0' * 12}", "failed", "the claim cannot be parsed"
        )

    def _has_expired(self, claim: Claim, attempt: int, start: StartLease) -> bool:
        age = max(self._since(start), self._observed_s(f"start {claim.run_id} {attempt}"))
        return age >= self._settings.lease_s

    def _cooldown_left(self, latest: int) -> float:
        """Return seconds until the next run may start; consecutive failures double the pause."""
        result = self._run_store.result(latest)
        if result is None:
            return 0.0
        pause = min(self._settings.cooldown_s * float(2 ** self._failures()), MAX_PAUSE_S)
        return pause - max(self._since(result), self._observed_s(f"result {latest}"))

    def _succeeded_at(self) -> datetime | None:
        """Return when the newest run succeeded; drift that was found before is answered."""
        succeeded = (result.created for result in self._run_store.results() if result.outcome == "succeeded")
        return next(succeeded, None)

    def _failures(self) -> int:
        count = 0
        for result in self._run_store.results():
            if result.outcome == "succeeded":
                break
            count += 1
        return min(count, 20)

    def _since(self, record: RunResult | StartLease) -> float:
        return (self._clock.now() - record.created).total_seconds()

    def _observed_s(self, what: str) -> float:
        """Return monotonic seconds since this trigger first observed something."""
        now = self._clock.elapsed()
        return now - self._first_seen.setdefault(what, now)
