"""The steps of the demo: train, serve, replay, correct, retrain, promote, replay again."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from rich.console import Console

from inference.simulation import report
from inference.simulation.report import Simulation
from inference.simulation.run import simulate
from inference.simulation.settings import Settings as SimulationSettings
from inference.simulation.simulated_users import read_accounts
from operations.demo.processes import DemoStepFailed, ProcessRunner, find_free_port, reset_folder
from operations.demo.results import DemoResult
from operations.demo.run_monitor import RunMonitor
from operations.demo.settings import Settings
from operations.local.service_table import HOST
from product_classifier.catalogue.challenge.sample import is_sample, seasonal_ids

START_TIMEOUT_S = 180.0
ROLLOUT_TIMEOUT_S = 120.0
Half = Literal["a", "b"]
MEASURED: Half = "a"
CORRECTED: Half = "b"


class DemoLoop:
    """One run of the demo; `step` is the current step, `seconds` the duration of each finished one."""

    def __init__(self, settings: Settings, console: Console) -> None:
        self._settings = settings
        self._console = console
        self._port = find_free_port()
        self._runner = ProcessRunner(settings.demo_dir, settings.environment(self._port))
        self.seconds: dict[str, float] = {}
        self.step = "prepare"

    def run(self) -> DemoResult:
        """Run every step; raise `DemoStepFailed` when one fails."""
        reset_folder(self._settings.demo_dir)
        with self._timed("data"):
            self._runner.run("data", "pipelines", "data")
        with self._timed("train"):
            self._runner.run("train", "pipelines", "train")
        start_s = time.monotonic()
        with self._runner.serving(self._port) as running:
            self._report("serve", time.monotonic() - start_s)
            admin = next(one for one in read_accounts(self._settings.accounts) if one.role == "admin")
            return self.retrain(RunMonitor(f"http://{HOST}:{self._port}", admin, running))

    def retrain(self, monitor: RunMonitor) -> DemoResult:
        """Run the steps that need running services."""
        with self._timed("replay"):
            before = self._replay(MEASURED, correct=0)
        with self._timed("correct"):
            corrected = self._replay(CORRECTED, correct=1)
            trusted = len(corrected.corrections.products) if corrected.corrections else 0
            if trusted < self._settings.min_corrections:
                raise DemoStepFailed(
                    f"{trusted} corrections are trusted, {self._settings.min_corrections} are needed for a run"
                )
        with self._timed("run starts"):
            if self._settings.raw is not None:
                monitor.request_run()
            run = monitor.wait_for_run(START_TIMEOUT_S, trusted)
        with self._timed("retrain"):
            verdict = monitor.wait_for_verdict(run["run_id"], self._settings.run_within_s)["verdict"]
        if verdict["promoted"] or self._settings.raw is None:
            with self._timed("promote"):
                if not verdict["promoted"]:
                    raise DemoStepFailed(f"{verdict['champion']} remains the champion: {'; '.join(verdict['reasons'])}")
            with self._timed("new release serves"):
                monitor.wait_for_release(verdict["release"], ROLLOUT_TIMEOUT_S)
        with self._timed("replay again"):
            after = self._replay(MEASURED, correct=0)
        runs = monitor.runs()
        if len(runs) != 1:
            raise DemoStepFailed(f"{len(runs)} runs were started, not exactly one")
        raw = self._settings.data / "raw"
        season = seasonal_ids(raw) if is_sample(raw) else frozenset[int | str]()
        return DemoResult(before, corrected, after, runs, season, self.seconds)

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
        replay = simulate(settings, Console(file=io.StringIO()))
        report.write(replay, settings.reports_dir)
        if replay.abort_reason or not any(one.prediction for one in replay.outcomes):
            raise DemoStepFailed(replay.abort_reason or f"no response for any of {replay.planned} products")
        return replay

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        self.step = step
        start_s = time.monotonic()
        with self._console.status(f"{step} …"):
            yield
        self._report(step, time.monotonic() - start_s)

    def _report(self, step: str, took_s: float) -> None:
        self.seconds[step] = took_s
        self._console.print(f"[green]✓[/green] {step:<18} {took_s:6.1f} s", highlight=False)
