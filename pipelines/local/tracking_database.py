"""Create the tables of an embedded MLflow while the models are trained."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CODE = "import sys; from components.shared.tracking import Tracking; Tracking(*sys.argv[1:])"


@contextmanager
def created_in_background(uri: str, experiment: str) -> Iterator[None]:
    """Create the tables in another process within the block.

    Does nothing if the database exists or `uri` is a server. Errors are ignored here: the step that registers the
    models reports the same ones.
    """
    if not uri.startswith("sqlite:///") or Path(uri.removeprefix("sqlite:///")).exists():
        yield
        return
    command = [sys.executable, "-c", CODE, uri, experiment]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # noqa: S603
        try:
            yield
        finally:
            process.terminate()
