"""kill -9 of a run of the pipeline, in each of its steps: the step alone, or everything that belongs to the run."""

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
from product_classifier.releases.release import load_text
from product_classifier.retraining import RunStore, RunView, list_runs
from product_classifier.retraining.settings import RetrainSettings
from product_classifier.retraining.trigger import Trigger
from product_classifier.taxonomy import CODES
from tests.support.promotions import Stage
from tests.support.retraining_fakes import correct
from tests.support.short_run import short
from tests.support.tiny_release import make_release

ROOT = Path(__file__).parents[2]
STEPS = ("merge-corrections", "compare", "promote")

pytestmark = pytest.mark.slow


class Scene:
    """A champion in service, a better release, and a correction that starts a run of the short pipeline."""

    def __init__(self, root: Path, prepared: Path) -> None:
        shutil.copytree(prepared, root, dirs_exist_ok=True)
        self.stage = Stage(root)
        self.champion, self.better = (root / "names").read_text().split()
        self.stage.rollout.switch(self.champion)
        correct(self.stage.store, 1)
        self.launcher = LocalLauncher(root / "runs", self._command)
        settings = RetrainSettings.model_validate({"min_corrections": 1, "RETRAIN_COOLDOWN": 0})
        self.trigger = Trigger(self.stage.store, self.launcher, settings)

    def _command(self, run_id: str, snapshot: str) -> list[str]:
        return [sys.executable, "-m", "tests.support.short_run", str(self.stage.root), self.better, run_id, snapshot]

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < end, self.said()
            self.trigger.reconcile()
            time.sleep(0.05)

    def has_begun(self, step: str) -> bool:
        return any(self.stage.root.glob(f"pipeline/*/logs/*-{step}.log"))

    def is_closed(self) -> bool:
        return RunStore(self.stage.store).is_finished(1)

    def view(self) -> RunView:
        return next(view for view in list_runs(RunStore(self.stage.store)) if view.run_id.startswith("retrain-000001"))

    def said(self) -> str:
        return "\n".join(path.read_text() for path in self.stage.root.glob("runs/*/log"))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a release that is right about the hold-out and one that is not."""
    root = tmp_path_factory.mktemp("prepared")
    stage = Stage(root)
    champion, better = stage.publish(2), stage.publish(1)
    oracle, _ = load_text(make_release(root / "oracle", 1).path / "text")
    titles = [f"un produit numero {number}" for number in range(100)]
    answers = oracle.probabilities(titles, [""] * len(titles)).argmax(axis=1)
    names = ["product_id", "designation", "description", "image_path", "image_sha256", "code"]
    rows = [(n, title, "", "", "", CODES[answers[n]]) for n, title in enumerate(titles)]
    pd.DataFrame(rows, columns=names).to_parquet(root / "test.parquet")
    (root / "names").write_text(f"{champion} {better}")
    compiler.Compiler().compile(short, str(root / "short.yaml"))
    return root


@pytest.fixture
def scene(tmp_path: Path, prepared: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path, prepared)
    yield scene
    scene.launcher.stop_all()


def of_the_run(scene: Scene) -> list[psutil.Process]:
    (started,) = scene.stage.root.glob("runs/*/started")
    keeper = psutil.Process(int(started.read_text()))
    return [keeper, *keeper.children(recursive=True)]


def of_the_step(scene: Scene, step: str) -> list[psutil.Process]:
    """Return the processes that execute the step's function."""
    if not list(scene.stage.root.glob("runs/*/started")):
        return []
    words = f"--function_to_execute {step.replace('-', '_')}"
    found = []
    for process in of_the_run(scene):
        with suppress(psutil.NoSuchProcess):
            found += [process] if words in " ".join(process.cmdline()) else []
    return found


@pytest.mark.parametrize("step", STEPS)
def test_a_run_killed_whole_has_failed_and_the_champion_stays(scene: Scene, step: str) -> None:
    scene.until(lambda: scene.has_begun(step))
    for process in of_the_run(scene):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    scene.until(scene.is_closed)

    view = scene.view()
    assert ("failed", "its processes ended without a verdict") == (view.state, view.reason)
    assert scene.champion == scene.stage.rollout.current()


@pytest.mark.parametrize("step", STEPS)
def test_a_run_whose_step_is_killed_says_which(scene: Scene, step: str) -> None:
    scene.until(lambda: bool(of_the_step(scene, step)))
    for process in of_the_step(scene, step):
        process.kill()
    scene.until(scene.is_closed)

    view = scene.view()
    assert "failed" == view.state
    assert view.reason
    assert view.reason.startswith(f"step '{step}' failed: it exited without a traceback")
    assert scene.champion == scene.stage.rollout.current()


def test_a_run_that_is_stopped_says_so(scene: Scene) -> None:
    scene.until(lambda: scene.has_begun("compare"))
    scene.launcher.stop_all()
    scene.until(scene.is_closed)

    assert ("failed", "the run was stopped") == (scene.view().state, scene.view().reason)
    assert [] == [path for path in scene.stage.root.glob("runs/*/exit.json") if '"code": 0' in path.read_text()]


def test_two_admins_who_press_at_once_get_one_run(scene: Scene) -> None:
    code = """
import sys, time
from datetime import UTC, datetime
from product_classifier.errors import RetrainActive
from product_classifier.retraining import RunStore, request_run
from product_classifier.store import open_store

run_store = RunStore(open_store(sys.argv[1]))
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
try:
    print("asked", request_run(run_store, (), sys.argv[2], datetime.now(UTC)).run_id)
except RetrainActive as error:
    print("refused", error.run_id)
"""
    admins = [
        subprocess.Popen(
            [sys.executable, "-c", code, scene.stage.url, name],
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
    said = sorted(admin.communicate(timeout=30)[0].split() for admin in admins)

    assert ["asked", "refused", "refused"] == [words[0] for words in said]
    assert 1 == len({words[1] for words in said})
