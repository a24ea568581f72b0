"""Train, serve, replay, correct, retrain, judge, promote, replay again."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from rich.console import Console

from inference.simulation import report
from inference.simulation.crowd import read_accounts
from inference.simulation.report import Simulation
from inference.simulation.run import simulate
from inference.simulation.settings import Settings as SimulationSettings
from operations.demo.processes import Commands, StepMissing, free_port, fresh
from operations.demo.results import Found
from operations.demo.settings import Settings
from operations.demo.watching import Watcher
from operations.local.services import HOST
from product_classifier.catalogue.sample import seasonal_ids

START_WITHIN_S = 180.0
SERVE_WITHIN_S = 120.0
Half = Literal["a", "b"]
MEASURED: Half = "a"
CORRECTED: Half = "b"


class Loop:
    """One demonstration; `seconds` says how long each phase took."""

    def __init__(self, settings: Settings, console: Console) -> None:
        self._settings = settings
        self._console = console
        self._port = free_port()
        self._commands = Commands(settings.demo_dir, settings.environment(self._port))
        self.seconds: dict[str, float] = {}
        self.step = "prepare"

    def run(self) -> Found:
        """Go through every step; raise when one does not happen."""
        fresh(self._settings.demo_dir)
        with self._phase("data"):
            self._commands.call("data", "pipelines", "data")
        with self._phase("train"):
            self._commands.call("train", "pipelines", "train")
        began = time.monotonic()
        with self._commands.serving(self._port) as serving:
            self._done("serve", time.monotonic() - began)
            admin = next(one for one in read_accounts(self._settings.accounts) if one.role == "admin")
            return self.retrain(Watcher(f"http://{HOST}:{self._port}", admin, serving))

    def retrain(self, watcher: Watcher) -> Found:
        """Go through the steps that need a running product."""
        with self._phase("replay"):
            before = self._replay(MEASURED, correct=0)
        with self._phase("correct"):
            corrected = self._replay(CORRECTED, correct=1)
            counted = len(corrected.sent.products) if corrected.sent else 0
            if counted < self._settings.needed:
                raise StepMissing(f"{counted} corrections count, {self._settings.needed} are needed for a run")
        with self._phase("run starts"):
            run = watcher.run_started(START_WITHIN_S, counted)
        with self._phase("retrain"):  # and judge, put into service, try out: the verdict comes last
            verdict = watcher.run_decided(run["run_id"], self._settings.run_within_s)["verdict"]
        with self._phase("promote"):
            if not verdict["promoted"]:
                raise StepMissing(f"{verdict['champion']} stays in service: {'; '.join(verdict['reasons'])}")
        with self._phase("new release serves"):
            watcher.serves(verdict["release"], SERVE_WITHIN_S)
        with self._phase("replay again"):
            after = self._replay(MEASURED, correct=0)
        runs = watcher.runs()
        if len(runs) != 1:
            raise StepMissing(f"{len(runs)} runs were started, not exactly one")
        season = seasonal_ids(self._settings.data / "raw")
        return Found(before, corrected, after, runs, season, self.seconds)

    def _replay(self, half: Half, *, correct: float) -> Simulation:
        settings = SimulationSettings(
            url=f"http://{HOST}:{self._port}",
            rate=self._settings.rate,
            n=0,
            half=half,
            correct=correct,
            data_dir=str(self._settings.data),
            accounts=self._settings.accounts,
            reports_dir=self._settings.demo_dir / "reports",
            store_url="",
            offline=None,
        )
        done = simulate(settings, Console(file=io.StringIO()))
        report.write(done, settings.reports_dir)
        if done.given_up or not any(one.answer for one in done.outcomes):
            raise StepMissing(done.given_up or f"none of {done.planned} products was answered")
        return done

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        self.step = name
        began = time.monotonic()
        with self._console.status(f"{name} …"):
            yield
        self._done(name, time.monotonic() - began)

    def _done(self, name: str, took_s: float) -> None:
        self.seconds[name] = took_s
        self._console.print(f"[green]✓[/green] {name:<18} {took_s:6.1f} s", highlight=False)
