"""Let an embedded MLflow make its tables while the models are still being trained."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CODE = "import sys; from components.shared.tracking import Tracking; Tracking(*sys.argv[1:])"


@contextmanager
def tracking(uri: str, experiment: str) -> Iterator[None]:
    """Connect once in a process beside, the first time; what it meets, the step that registers meets and reports."""
    if not uri.startswith("sqlite:///") or Path(uri.removeprefix("sqlite:///")).exists():
        yield
        return
    command = [sys.executable, "-c", CODE, uri, experiment]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            yield
        finally:
            process.terminate()
