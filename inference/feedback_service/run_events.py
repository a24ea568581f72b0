"""The events of a training run, from its records in the object store and its log."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from fastapi.sse import format_sse_event
from pydantic import BaseModel

from inference.feedback_service.event_cursor import EventCursor
from inference.http.problems import Problem, public_message
from inference.run_events_api import EndEvent, LogEvent, StepEvent
from product_classifier.retraining import Claim, RunStore
from product_classifier.retraining.run_records import RUN_LOG_PART_BYTES, generation_of

MAX_LINE_BYTES = 8192
"""Longer lines of a log are cut into lines of this length."""
END = "end"
VERDICT = "verdict"


class RunLog(Protocol):
    """Reads logs of runs."""

    def read(self, run_id: str, offset: int) -> bytes:
        """Return a bounded part of the log of a run from an offset in bytes; empty at its end."""


@dataclass(frozen=True, slots=True)
class NewEvents:
    """Events that a client has not received, encoded, and its position after them."""

    data: bytes
    cursor: EventCursor
    has_more: bool = False
    """Whether the log is longer than the part that was read."""
    has_ended: bool = False


class RunEvents:
    """Events of runs; keeps no state of a client."""

    def __init__(self, run_store: RunStore, log: RunLog) -> None:
        self._run_store = run_store
        self._log = log

    def find(self, run_id: str) -> Claim:
        """Return the claim of a run; raise a 404 problem if there is none."""
        claim = self._run_store.claim(generation_of(run_id))
        if claim is None or claim.run_id != run_id:
            raise Problem(404, f"run_id: no run has the id {public_message(run_id)}", kind="unknown-run")
        return claim

    def read(self, claim: Claim, cursor: EventCursor) -> NewEvents:
        """Return the events of a run after a position, in the order of their times; log lines follow steps."""
        has_result = self._run_store.is_finished(claim.generation)  # first: what the run wrote before is then read
        encoded: list[bytes] = []

        def add(kind: str, data: BaseModel) -> None:
            encoded.append(format_sse_event(data_str=data.model_dump_json(), event=kind, id=str(cursor)))

        steps = sorted(
            self._steps(claim.run_id, has_result=has_result), key=lambda one: (one.time, one.state != "running")
        )
        for step in steps:
            if not cursor.has(name := f"{step.step}.{step.state}"):
                cursor = cursor.after(name)
                add("step", step)
        part = self._log.read(claim.run_id, cursor.log_offset)
        for line in _lines(part, is_last=has_result and len(part) < RUN_LOG_PART_BYTES):
            cursor = cursor.at(cursor.log_offset + len(line))
            add("log", LogEvent(line=line.decode("utf-8", "replace").rstrip("\r\n")))
        has_more = bool(part) and (has_result or len(part) > MAX_LINE_BYTES)
        if has_more:
            return NewEvents(b"".join(encoded), cursor, has_more=True)
        verdict = self._run_store.verdict(claim.run_id)
        if verdict is not None and not cursor.has(VERDICT):
            cursor = cursor.after(VERDICT)
            add(VERDICT, verdict)
        if has_result:
            cursor = cursor.after(END)
            add(END, self._end(claim))
        return NewEvents(b"".join(encoded), cursor, has_ended=has_result)

    def _steps(self, run_id: str, *, has_result: bool) -> Iterator[StepEvent]:
        """Yield the steps that started and ended; a failure without a duration once the run has ended."""
        for start in self._run_store.step_starts(run_id):
            yield StepEvent(step=start.step, state="running", time=start.created, seconds=None, reason=None)
        timings = self._run_store.step_timings(run_id)
        failures = {one.step: one for one in self._run_store.failures(run_id) if one.step}
        for timing in timings:
            failed = timing.outcome == "failed"
            reason = failures[timing.step].reason if failed and timing.step in failures else None
            state = "failed" if failed else "succeeded"
            yield StepEvent(step=timing.step, state=state, time=timing.created, seconds=timing.seconds, reason=reason)
        timed = {one.step for one in timings if one.outcome == "failed"}
        for step, failure in failures.items():
            if has_result and step and step not in timed:
                yield StepEvent(step=step, state="failed", time=failure.created, seconds=None, reason=failure.reason)

    def _end(self, claim: Claim) -> EndEvent:
        result = self._run_store.result(claim.generation)
        if result is None:  # damaged
            return EndEvent(run_id=claim.run_id, state="failed", reason="the result cannot be read", time=claim.created)
        return EndEvent(run_id=claim.run_id, state=result.outcome, reason=result.reason, time=result.created)


def _lines(part: bytes, *, is_last: bool) -> Iterator[bytes]:
    """Yield the complete lines of a part of a log, with their ends; the rest too if nothing will follow it."""
    *complete, rest = part.split(b"\n")
    for line in complete:
        yield from _pieces(line + b"\n")
    yield from (piece for piece in _pieces(rest) if is_last or len(piece) == MAX_LINE_BYTES)


def _pieces(line: bytes) -> Iterator[bytes]:
    return (line[start : start + MAX_LINE_BYTES] for start in range(0, len(line), MAX_LINE_BYTES))
