"""The first training runs beside the services; how it ended decides how the run ends."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from operations.local.preparation import NotPrepared, Training, first_training
from operations.local.settings import Settings

ENDINGS = {
    "well": ("pass", False),
    "by Ctrl-C": ("raise SystemExit(130)", True),
    "by a signal": ("import os, signal; os.kill(os.getpid(), signal.SIGINT); signal.pause()", True),
    "badly": ("raise SystemExit(1)", False),
}


@pytest.fixture
def endless() -> "Iterator[subprocess.Popen[bytes]]":
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


def test_where_there_is_a_release_nothing_is_trained(tmp_path: Path) -> None:
    (tmp_path / "releases").mkdir()
    (tmp_path / "releases" / "champion").write_text("r-1\n")

    with first_training(Settings(state_dir=tmp_path)) as training:
        training.wait()

        assert (True, False) == (training.over, training.interrupted)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_training_that_was_interrupted_is_told_from_one_that_failed(ending: str) -> None:
    code, interrupted = ENDINGS[ending]
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as process:
        process.wait()

        assert interrupted == Training(process).interrupted


def test_a_failed_training_is_named(endless: "subprocess.Popen[bytes]") -> None:
    endless.kill()

    with pytest.raises(NotPrepared, match="ended with status -9"):
        Training(endless).wait()


def test_one_that_still_runs_is_ended(endless: "subprocess.Popen[bytes]") -> None:
    training = Training(endless)
    running = not training.over
    training.stop()

    assert (True, True) == (running, training.over)
