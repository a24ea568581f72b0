import os
import subprocess
import sys
from pathlib import Path

from product_classifier.retraining import RunStore
from product_classifier.store import open_store


def test_once_takes_the_due_steps_and_logs_them(tmp_path: Path) -> None:
    environment = {"STATE_DIR": str(tmp_path), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-m", "pipelines.retrain", "--once"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert (0, True) == (done.returncode, "step=waiting" in done.stderr)
    assert [] == list(RunStore(open_store((tmp_path / "store" / "product-classifier").as_uri())).results())


def test_invalid_settings_are_reported_with_their_name(tmp_path: Path) -> None:
    environment = {"STATE_DIR": str(tmp_path), "PATH": os.environ["PATH"], "RETRAIN_POLL_S": "0"}
    command = [sys.executable, "-m", "pipelines.retrain", "--once"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert (2, True) == (done.returncode, "RETRAIN_POLL_S: must be " in done.stderr)
