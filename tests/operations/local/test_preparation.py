"""Tests of the first training: it runs in the background, and its end decides how the run ends."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from operations.local.preparation import PreparationFailed, TrainingProcess, first_training
from operations.local.settings import Settings

ENDINGS = {
    "success": ("pass", False),
    "Ctrl-C": ("raise SystemExit(130)", True),
    "signal": ("import os, signal; os.kill(os.getpid(), signal.SIGINT); signal.pause()", True),
    "failure": ("raise SystemExit(1)", False),
}


@pytest.fixture
def sleeping() -> "Iterator[subprocess.Popen[bytes]]":
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


def test_nothing_is_trained_if_there_is_a_release(tmp_path: Path) -> None:
    (tmp_path / "releases").mkdir()
    (tmp_path / "releases" / "champion").write_text("r-1\n")

    with first_training(Settings(state_dir=tmp_path)) as training:
        training.wait()

        assert (True, False) == (training.is_finished, training.is_interrupted)


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_interrupted_training_is_distinguished_from_a_failed_one(ending: str) -> None:
    code, interrupted = ENDINGS[ending]
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as process:
        process.wait()

        assert interrupted == TrainingProcess(process).is_interrupted


def test_a_failed_training_is_reported_with_its_status(sleeping: "subprocess.Popen[bytes]") -> None:
    sleeping.kill()

    with pytest.raises(PreparationFailed, match="ended with status -9"):
        TrainingProcess(sleeping).wait()


def test_stop_terminates_a_training_that_still_runs(sleeping: "subprocess.Popen[bytes]") -> None:
    training = TrainingProcess(sleeping)
    running = not training.is_finished
    training.stop()

    assert (True, True) == (running, training.is_finished)
