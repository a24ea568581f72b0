"""What the store says about runs."""

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
    RunResult,
    StartLease,
    Verdict,
    claim_key,
    failures_prefix,
    make_run_id,
    owner_key,
    result_key,
    start_lease_key,
    verdict_key,
)
from product_classifier.retraining.snapshot import read_snapshot, write_snapshot
from product_classifier.store import ObjectStore

R = TypeVar("R", bound=Record)


class RunStore:
    """Reads and writes the objects below `retrain/`; remembers those it has read, for they never change."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.damaged: dict[str, str] = {}
        self._seen: dict[str, Record] = {}

    def latest(self) -> int:
        """Return the number of the newest claim, 0 when there was none."""
        return max(self._numbers(CLAIMS), default=0)

    def claim(self, generation: int) -> Claim | None:
        """Return a claim; None when there is none or it is damaged."""
        return self._read(claim_key(generation), Claim)

    def result(self, generation: int) -> RunResult | None:
        """Return how a run ended; None while it has not."""
        return self._read(result_key(generation), RunResult)

    def is_finished(self, generation: int) -> bool:
        """Tell whether a run is over, even if what is written about it is damaged."""
        return self.result(generation) is not None or self.store.exists(result_key(generation))

    def results(self) -> Iterator[RunResult]:
        """Yield how runs ended, newest first."""
        for number in sorted(self._numbers(WATERMARK), reverse=True):
            closing = self.result(number)
            if closing is not None:
                yield closing

    def trained_fingerprints(self) -> frozenset[str]:
        """Return the fingerprints of the labels in the newest snapshot that a run learned: the watermark."""
        for closing in self.results():
            claim = self.claim(closing.generation) if closing.outcome == "succeeded" else None
            if claim is None:
                continue
            try:
                snapshot = read_snapshot(self.store, claim.snapshot)
            except (InvalidInput, ObjectNotFound) as error:
                self.damaged[claim.run_id] = str(error)  # an older watermark only means to learn some labels again
                continue
            return frozenset(item.fingerprint for item in snapshot.corrections)
        return frozenset()

    def new_labels(self, labels: tuple[Label, ...]) -> list[Label]:
        """Return the labels that no successful run has learned."""
        learned = self.trained_fingerprints()
        return [label for label in labels if label.fingerprint not in learned]

    def claim_run(
        self, generation: int, labels: tuple[Label, ...], *, cause: Cause, requested_by: str, now: datetime
    ) -> Claim:
        """Freeze the labels and claim run number `generation`; `ObjectExists` when somebody else did."""
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
        self.store.put(claim_key(generation), claim.to_json(), only_if_absent=True)
        return claim

    def finish(self, generation: int, run_id: str, outcome: Outcome, reason: str, now: datetime) -> RunResult:
        """Write how a run ended; whoever writes first is right."""
        closing = RunResult(generation=generation, run_id=run_id, outcome=outcome, reason=reason, created=now)
        try:
            self.store.put(result_key(generation), closing.to_json(), only_if_absent=True)
        except ObjectExists:
            return self.result(generation) or closing
        return closing

    def owner(self, run_id: str) -> Owner | None:
        """Return which execution is the run; None before its first step."""
        return self._read(owner_key(run_id), Owner)

    def verdict(self, run_id: str) -> Verdict | None:
        """Return what the run decided, None before it did."""
        return self._read(verdict_key(run_id), Verdict)

    def failure(self, run_id: str) -> Failure | None:
        """Return the newest reason why a step of the run failed; a later attempt may have succeeded all the same."""
        found = (self._read(key, Failure) for key in self.store.list(failures_prefix(run_id)))
        return max((one for one in found if one is not None), key=lambda one: one.created, default=None)

    def latest_start_lease(self, run_id: str) -> tuple[int, StartLease | None]:
        """Return the newest right to start a run and its number; 0 when nobody has asked."""
        attempt = max(self._numbers(f"{STARTS}{run_id}/"), default=0)
        return attempt, self._read(start_lease_key(run_id, attempt), StartLease) if attempt else None

    def acquire_start_lease(self, run_id: str, attempt: int, trigger: str, now: datetime) -> bool:
        """Ask for the right to start a run; False when another trigger has it."""
        start = StartLease(trigger=trigger, created=now)
        try:
            self.store.put(start_lease_key(run_id, attempt), start.to_json(), only_if_absent=True)
        except ObjectExists:
            mine = self._read(start_lease_key(run_id, attempt), StartLease)
            return mine is not None and mine.trigger == trigger
        return True

    def _numbers(self, prefix: str) -> list[int]:
        names = (key.removeprefix(prefix).removesuffix(".json") for key in self.store.list(prefix))
        return [int(name) for name in names if name.isdigit()]

    def _read(self, key: str, kind: type[R]) -> R | None:
        found = self._seen.get(key)
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
        self._seen[key] = record
        return record
