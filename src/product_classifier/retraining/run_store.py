"""The records of retraining runs in the object store."""

from collections.abc import Iterator
from datetime import datetime
from typing import TypeVar

from product_classifier.errors import InvalidInput, ObjectExists, ObjectNotFound, StoreUnavailable
from product_classifier.feedback.records import Record
from product_classifier.feedback.trust import Label
from product_classifier.retraining.run_records import (
    CLAIMS,
    STARTS,
    WATERMARK,
    Cause,
    Claim,
    Failure,
    Outcome,
    Owner,
    PendingReason,
    RunResult,
    RunView,
    StartLease,
    StepStart,
    StepTiming,
    Verdict,
    claim_key,
    failures_prefix,
    make_run_id,
    owner_key,
    pending_key,
    result_key,
    start_lease_key,
    step_starts_prefix,
    steps_prefix,
    verdict_key,
)
from product_classifier.retraining.snapshot import read_snapshot, write_snapshot
from product_classifier.store import ObjectStore

R = TypeVar("R", bound=Record)


class RunStore:
    """Reads and writes the objects under `retrain/`; all but `PendingReason` are immutable and read once."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.damaged: dict[str, str] = {}
        """Reasons by key or run id of the objects that cannot be parsed."""
        self.finished_views: dict[str, RunView] = {}
        """Runs with a result, by run id."""
        self._cache: dict[str, Record] = {}
        self._latest = 0
        self._results: list[int] = []

    def latest(self) -> int:
        """Return the number of the newest claim, 0 without one; lists only claims after the last known one."""
        self._latest = max(self._numbers(CLAIMS, claim_key(self._latest)), default=self._latest)
        return self._latest

    def claim(self, generation: int) -> Claim | None:
        """Return a claim; None if it is missing or cannot be parsed."""
        return self._read(claim_key(generation), Claim)

    def result(self, generation: int) -> RunResult | None:
        """Return the result of a run; None if it is missing or cannot be parsed."""
        return self._read(result_key(generation), RunResult)

    def is_finished(self, generation: int) -> bool:
        """Return whether a run has a result, readable or not."""
        return self.result(generation) is not None or self.store.exists(result_key(generation))

    def results(self) -> Iterator[RunResult]:
        """Yield the readable results, newest first."""
        newest = self._results[-1] if self._results else 0
        self._results += sorted(self._numbers(WATERMARK, result_key(newest)))
        for number in reversed(self._results):
            result = self.result(number)
            if result is not None:
                yield result

    def succeeded(self) -> Iterator[Claim]:
        """Yield the readable claims of successful runs, newest first; the first one has the watermark."""
        for result in self.results():
            claim = self.claim(result.generation) if result.outcome == "succeeded" else None
            if claim is not None:
                yield claim

    def trained_fingerprints(self) -> frozenset[str]:
        """Return the label fingerprints of the watermark, the snapshot of the newest successful run."""
        for claim in self.succeeded():
            try:
                snapshot = read_snapshot(self.store, claim.snapshot)
            except (InvalidInput, ObjectNotFound) as error:
                self.damaged[claim.run_id] = str(error)  # an older watermark only repeats some labels
                continue
            return frozenset(item.fingerprint for item in snapshot.corrections)
        return frozenset()

    def new_labels(self, labels: tuple[Label, ...]) -> list[Label]:
        """Return the labels that are not in the watermark."""
        trained = self.trained_fingerprints()
        return [label for label in labels if label.fingerprint not in trained]

    def claim_run(
        self, generation: int, labels: tuple[Label, ...], *, cause: Cause, requested_by: str, now: datetime
    ) -> Claim:
        """Write a snapshot of the labels and claim run number `generation`.

        Raises:
            ObjectExists: If the run is already claimed.
        """
        new = self.new_labels(labels)
        claim = Claim(
            generation=generation,
            run_id=make_run_id(generation, (label.feedback_id for label in new)),
            cause=cause,
            requested_by=requested_by,
            snapshot=write_snapshot(self.store, labels),
            corrections=len(new),
            created=now,
        )
        self.write_claim(claim)
        return claim

    def write_claim(self, claim: Claim) -> None:
        """Write a claim; raise `ObjectExists` if the run is already claimed."""
        self.store.put(claim_key(claim.generation), claim.to_json(), only_if_absent=True)

    def finish(self, generation: int, run_id: str, outcome: Outcome, reason: str, now: datetime) -> RunResult:
        """Write the result of a run unless it has one; return the result that is stored."""
        result = RunResult(generation=generation, run_id=run_id, outcome=outcome, reason=reason, created=now)
        try:
            self.store.put(result_key(generation), result.to_json(), only_if_absent=True)
        except ObjectExists:
            return self.result(generation) or result
        return result

    def owner(self, run_id: str) -> Owner | None:
        """Return the owner of a run; None before its first step."""
        return self._read(owner_key(run_id), Owner)

    def verdict(self, run_id: str) -> Verdict | None:
        """Return the verdict of a run, or None without one."""
        return self._read(verdict_key(run_id), Verdict)

    def failure(self, run_id: str) -> Failure | None:
        """Return the newest failure of a run, or None. A later attempt of the step may have succeeded."""
        return max(self.failures(run_id), key=lambda one: one.created, default=None)

    def failures(self, run_id: str) -> list[Failure]:
        """Return the failures of a run, one per step that failed."""
        found = (self._read(key, Failure) for key in self.store.list(failures_prefix(run_id)))
        return [one for one in found if one is not None]

    def step_starts(self, run_id: str) -> list[StepStart]:
        """Return the starts of a run's steps."""
        found = (self._read(key, StepStart) for key in self.store.list(step_starts_prefix(run_id)))
        return [one for one in found if one is not None]

    def step_timings(self, run_id: str) -> list[StepTiming]:
        """Return how long the finished steps of a run took, in the order they ended."""
        found = (self._read(key, StepTiming) for key in self.store.list(steps_prefix(run_id)))
        return sorted((one for one in found if one is not None), key=lambda one: one.created)

    def pending_reason(self, run_id: str) -> str:
        """Return why the execution of a run does not start; an empty string if nothing was reported."""
        try:
            return PendingReason.from_json(self.store.get(pending_key(run_id)), pending_key(run_id)).reason
        except (ObjectNotFound, StoreUnavailable):  # additional information, which no state depends on
            return ""

    def report_pending(self, run_id: str, reason: str, now: datetime) -> None:
        """Store why the execution of a run does not start, if that has changed."""
        if reason != self.pending_reason(run_id):
            record = PendingReason(run_id=run_id, reason=reason, created=now)
            self.store.put(pending_key(run_id), record.to_json())

    def latest_start_lease(self, run_id: str) -> tuple[int, StartLease | None]:
        """Return number and content of the newest start lease of a run; (0, None) without one."""
        attempt = max(self._numbers(f"{STARTS}{run_id}/"), default=0)
        return attempt, self._read(start_lease_key(run_id, attempt), StartLease) if attempt else None

    def acquire_start_lease(self, run_id: str, attempt: int, trigger: str, now: datetime) -> bool:
        """Acquire the start lease of an attempt; return whether this trigger holds it."""
        start = StartLease(trigger=trigger, created=now)
        try:
            self.store.put(start_lease_key(run_id, attempt), start.to_json(), only_if_absent=True)
        except ObjectExists:
            held = self._read(start_lease_key(run_id, attempt), StartLease)
            return held is not None and held.trigger == trigger
        return True

    def _numbers(self, prefix: str, start_after: str = "") -> list[int]:
        keys = self.store.list(prefix, start_after=start_after)
        names = (key.removeprefix(prefix).removesuffix(".json") for key in keys)
        return [int(name) for name in names if name.isdigit()]

    def _read(self, key: str, kind: type[R]) -> R | None:
        found = self._cache.get(key)
        if isinstance(found, kind):
            return found
        try:
            data = self.store.get(key)
        except ObjectNotFound:
            return None
        try:
            record = kind.from_json(data, key)
        except StoreUnavailable as error:
            self.damaged[key] = str(error)
            return None
        self._cache[key] = record
        return record
