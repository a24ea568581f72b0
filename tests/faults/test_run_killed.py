"""A pipeline run killed in each of its steps: the process of the step, or all processes of the run."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pandas as pd
import psutil
import pytest
from kfp import compiler

from pipelines.retrain.local_launcher import LocalLauncher
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.releases.release import load_text
from product_classifier.retraining import RunStore, RunView, list_runs
from product_classifier.retraining.settings import RetrainSettings
from product_classifier.retraining.trigger import Trigger
from tests.support.promotions import Stage
from tests.support.retraining_fakes import correct
from tests.support.short_run import short
from tests.support.tiny_release import make_release

ROOT = Path(__file__).parents[2]
STEPS = ("start-run", "compare", "promote")

pytestmark = pytest.mark.slow


class RunScenario:
    """A champion that serves, a better release, and a correction that starts the short pipeline."""

    def __init__(self, root: Path, prepared: Path) -> None:
        shutil.copytree(prepared, root, dirs_exist_ok=True)
        self.stage = Stage(root)
        self.champion, self.better = (root / "names").read_text().split()
        self.stage.rollout.switch(self.champion)
        correct(self.stage.store, 1)
        self.launcher = LocalLauncher(root / "runs", self._command)
        settings = RetrainSettings.model_validate({"min_corrections": 1, "RETRAIN_COOLDOWN": 0})
        self.trigger = Trigger(self.stage.store, self.launcher, settings)

    def _command(self, run_id: str, _snapshot: str) -> list[str]:
        return [sys.executable, "-m", "tests.support.short_run", str(self.stage.root), self.better, run_id]

    def reconcile_until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < end, self.logs()
            self.trigger.reconcile()
            time.sleep(0.05)

    def has_begun(self, step: str) -> bool:
        return any(self.stage.root.glob(f"pipeline/*/logs/*-{step}.log"))

    def is_closed(self) -> bool:
        return RunStore(self.stage.store).is_finished(1)

    def view(self) -> RunView:
        return next(view for view in list_runs(RunStore(self.stage.store)) if view.run_id.startswith("retrain-000001"))

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in self.stage.root.glob("runs/*/log"))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a release that predicts the hold-out correctly and one that does not."""
    root = tmp_path_factory.mktemp("prepared")
    stage = Stage(root)
    champion, better = stage.publish(2), stage.publish(1)
    oracle, _ = load_text(make_release(root / "oracle", 1).path / "text")
    titles = [f"un produit numero {number}" for number in range(100)]
    predicted = oracle.probabilities(titles, [""] * len(titles)).argmax(axis=1)
    names = ["product_id", "designation", "description", "image_path", "image_sha256", "code"]
    rows = [(n, title, "", "", "", CHALLENGE.codes[predicted[n]]) for n, title in enumerate(titles)]
    pd.DataFrame(rows, columns=names).to_parquet(root / "test.parquet")
    (root / "names").write_text(f"{champion} {better}")
    compiler.Compiler().compile(short, str(root / "short.yaml"))
    return root


@pytest.fixture
def scenario(tmp_path: Path, prepared: Path) -> Iterator[RunScenario]:
    scenario = RunScenario(tmp_path, prepared)
    yield scenario
    scenario.launcher.stop_all()


def run_processes(scenario: RunScenario) -> list[psutil.Process]:
    (started,) = scenario.stage.root.glob("runs/*/started")
    parent = psutil.Process(int(started.read_text()))
    return [parent, *parent.children(recursive=True)]


def step_processes(scenario: RunScenario, step: str) -> list[psutil.Process]:
    """Return the processes that execute the step's function."""
    if not list(scenario.stage.root.glob("runs/*/started")):
        return []
    arguments = f"--function_to_execute {step.replace('-', '_')}"
    found = []
    for process in run_processes(scenario):
        with suppress(psutil.NoSuchProcess):
            found += [process] if arguments in " ".join(process.cmdline()) else []
    return found


@pytest.mark.parametrize("step", STEPS)
def test_a_run_whose_processes_are_killed_fails_and_the_champion_stays(scenario: RunScenario, step: str) -> None:
    scenario.reconcile_until(lambda: scenario.has_begun(step))
    for process in run_processes(scenario):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    scenario.reconcile_until(scenario.is_closed)

    view = scenario.view()
    assert ("failed", "the execution ended without a verdict") == (view.state, view.reason)
    assert scenario.champion == scenario.stage.rollout.current()


@pytest.mark.parametrize("step", STEPS)
def test_a_run_whose_step_is_killed_fails_with_the_name_of_the_step(scenario: RunScenario, step: str) -> None:
    scenario.reconcile_until(lambda: bool(step_processes(scenario, step)))
    for process in step_processes(scenario, step):
        process.kill()
    scenario.reconcile_until(scenario.is_closed)

    view = scenario.view()
    assert "failed" == view.state
    assert view.reason
    assert view.reason.startswith(f"step '{step}' failed: it exited without a traceback")
    assert scenario.champion == scenario.stage.rollout.current()


def test_a_stopped_run_fails_with_that_reason(scenario: RunScenario) -> None:
    scenario.reconcile_until(lambda: scenario.has_begun("compare"))
    scenario.launcher.stop_all()
    scenario.reconcile_until(scenario.is_closed)

    assert ("failed", "the run was stopped") == (scenario.view().state, scenario.view().reason)
    assert [] == [path for path in scenario.stage.root.glob("runs/*/exit.json") if '"code": 0' in path.read_text()]


def test_concurrent_requests_of_admins_start_one_run(scenario: RunScenario) -> None:
    code = """
import sys, time
from datetime import UTC, datetime
from product_classifier.errors import RetrainActive
from product_classifier.retraining import RunStore, request_run
from product_classifier.store import open_store

run_store = RunStore(open_store(sys.argv[1]))
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
try:
    print("accepted", request_run(run_store, (), sys.argv[2], datetime.now(UTC)).run_id)
except RetrainActive as error:
    print("refused", error.run_id)
"""
    admins = [
        subprocess.Popen(
            [sys.executable, "-c", code, scenario.stage.url, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ,
        )
        for name in ("ada", "bea", "cleo")
    ]
    for admin in admins:
        assert admin.stdout
        assert "ready\n" == admin.stdout.readline()
    for admin in admins:
        assert admin.stdin
        admin.stdin.write("\n")
        admin.stdin.flush()
    results = sorted(admin.communicate(timeout=30)[0].split() for admin in admins)

    assert ["accepted", "refused", "refused"] == [outcome for outcome, _ in results]
    assert 1 == len({run_id for _, run_id in results})
