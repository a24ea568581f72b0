"""Fakes of launcher and clock, simulated crashes, and corrections in a store."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import LauncherUnavailable, LaunchRefused
from product_classifier.feedback.records import Correction, ProductContent, Role, new_id
from product_classifier.retraining import RunStore, Verdict, acquire_run, write_verdict
from product_classifier.retraining.launcher import Execution
from product_classifier.store import ObjectStore


class FakeClock:
    """A clock that changes only when `pass_` or `jump` is called."""

    def __init__(self) -> None:
        self.wall = datetime(2030, 1, 1, tzinfo=UTC)
        self.seconds = 0.0

    def now(self) -> datetime:
        return self.wall

    def elapsed(self) -> float:
        return self.seconds

    def pass_(self, seconds: float) -> None:
        self.seconds += seconds
        self.wall += timedelta(seconds=seconds)

    def jump(self, seconds: float) -> None:
        """Set the wall clock only."""
        self.wall += timedelta(seconds=seconds)


@dataclass
class FakeRun:
    """One execution of a run."""

    execution: str
    run_id: str
    snapshot: str
    state: Execution = Execution.ACTIVE
    superseded: bool = False


@dataclass
class FakeLauncher:
    """A launcher like KFP: two starts of one name are two executions, a response may be lost."""

    store: ObjectStore
    clock: FakeClock
    runs: list[FakeRun] = field(default_factory=list)
    away: bool = False
    lose_replies: int = 0
    refuse: bool = False
    pending: str = ""
    """Why no execution starts."""

    def find(self, run_id: str) -> Execution | None:
        self._check_available()
        named = [run for run in self.runs if run.run_id == run_id]
        owner = RunStore(self.store).owner(run_id)
        if owner is not None:
            named = [run for run in named if run.execution == owner.execution]
        active = [run for run in named if run.state is Execution.ACTIVE]
        return next((run.state for run in [*active, *named]), None)

    def start(self, run_id: str, snapshot: str) -> None:
        self._check_available()
        if self.refuse:
            raise LaunchRefused("no such parameter")
        self.runs.append(FakeRun(f"x{len(self.runs)}", run_id, snapshot))
        if self.lose_replies:
            self.lose_replies -= 1
            raise LauncherUnavailable("the response was lost")

    def pending_reason(self, run_id: str) -> str:
        return self.pending

    def stop(self, run_id: str) -> None:
        self._check_available()
        for run in self.runs:
            if run.run_id == run_id:
                run.state = Execution.FAILED

    def begin(self) -> None:
        """Run the first step of every execution."""
        for run in self.active():
            if not acquire_run(RunStore(self.store), run.run_id, run.execution, self.clock.now()):
                run.superseded, run.state = True, Execution.SUCCEEDED

    def finish(self, *, promoted: bool = True, killed: bool = False) -> None:
        """Finish every execution."""
        self.begin()
        for run in self.active():
            if killed:
                run.state = Execution.FAILED
                continue
            verdict = Verdict(run_id=run.run_id, promoted=promoted, reasons=("better",), created=self.clock.now())
            write_verdict(RunStore(self.store), verdict)
            run.state = Execution.SUCCEEDED

    def active(self) -> list[FakeRun]:
        return [run for run in self.runs if run.state is Execution.ACTIVE]

    def effective(self) -> list[FakeRun]:
        return [run for run in self.runs if not run.superseded]

    def _check_available(self) -> None:
        if self.away:
            raise LauncherUnavailable("connection refused")


class Crash(BaseException):
    """A simulated crash of the process."""


class Dying:
    """A proxy of a store or launcher that crashes before or after its n-th call."""

    def __init__(self, inner: object, countdown: "Countdown") -> None:
        self._inner = inner
        self._countdown = countdown

    def __getattr__(self, name: str) -> object:
        method = getattr(self._inner, name)

        def call(*args: object, **kwargs: object) -> object:
            self._countdown.tick()
            result = method(*args, **kwargs)
            result = iter(list(result)) if isinstance(result, Iterator) else result
            self._countdown.tick()
            return result

        return call


class Countdown:
    """Raises `Crash` at the n-th tick; 0 means never."""

    def __init__(self, at: int = 0) -> None:
        self.at = at
        self.ticks = 0

    def tick(self) -> None:
        self.ticks += 1
        if self.at and self.ticks >= self.at:
            raise Crash


def correct(
    store: ObjectStore, product: int, user: str = "rita", role: Role = "reviewer", code: str = CHALLENGE.codes[0]
) -> Correction:
    correction = Correction(
        feedback_id=(identifier := new_id()),
        created=datetime.now(UTC),
        user=user,
        role=role,
        product=ProductContent(designation=f"produit {product}"),
        code=code,
    )
    store.put(f"feedback/dt={identifier_day(identifier)}/{identifier}.json", correction.to_json(), only_if_absent=True)
    return correction


def identifier_day(identifier: str) -> str:
    from product_classifier.feedback.records import day_of

    return day_of(identifier)


@contextmanager
def dying() -> Iterator[None]:
    """Suppress a simulated crash in the block."""
    try:
        yield
    except Crash:
        return
