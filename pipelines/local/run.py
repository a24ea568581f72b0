"""Run the compiled pipeline on this machine: the file a cluster gets, each step in a process of its own.

outcome = run(Path("build/training.yaml"), arguments, Path(".run/pipeline"), Console())
"""

import os
import shlex
import shutil
import signal
import sys
import tempfile
import uuid
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from components.shared.failures import EXECUTION
from pipelines.compile import declared
from pipelines.local.progress import Narrator
from pipelines.local.step_host import StepHost
from pipelines.parameters import fit
from product_classifier.errors import ProductClassifierError

RUNS_KEPT = 5
"""Folders of earlier runs, with their artifacts and logs, that stay on disk."""


class StepFailed(ProductClassifierError):
    """A step of a local run ended with an error; the message names both and the log."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run gave: the pipeline's outputs, and how long each step took."""

    outputs: Mapping[str, Any]
    seconds: Mapping[str, float]
    folder: Path


def run(
    package: Path, arguments: Mapping[str, Any], root: Path, console: Console, host: StepHost | None = None
) -> Outcome:
    """Run a compiled pipeline, its steps by `host` if there is one; raise `StepFailed` when a step does."""
    arguments = fit(arguments, declared(package))
    folder = _new_folder(root)
    console.file = console.file  # the terminal, also while standard output is the narrator's
    narrator = Narrator(console, folder / "logs")
    with warnings.catch_warnings(), _environment(folder), _hosted(host), _terminated_with_children():
        warnings.simplefilter("ignore")  # kfp warns of every image and limit that means nothing here
        pipeline = _load(package, folder)
        try:
            with redirect_stdout(narrator):
                task = pipeline(**arguments)
        except RuntimeError as error:
            if narrator.failed is None:
                raise
            raise StepFailed(_complaint(narrator)) from error
        finally:
            narrator.stop()
    return Outcome(dict(task.outputs), {step.name: step.took_s or 0.0 for step in narrator.tasks}, folder)


def _complaint(narrator: Narrator) -> str:
    failed = narrator.failed
    assert failed is not None  # noqa: S101 - asked only then
    return f"step {failed.name!r} failed: {failed.complaint()} (log: {failed.log})"


def _load(package: Path, folder: Path) -> Any:
    """Load the pipeline for `kfp.local`, without the retries that are for machines which vanish."""
    from kfp import components, local  # noqa: PLC0415 - takes seconds

    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(folder), enable_caching=False)
    pipeline = components.load_component_from_file(str(package))
    for task in pipeline.component_spec.implementation.graph.root.dag.tasks.values():
        task.ClearField("retry_policy")
    return pipeline


def _new_folder(root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for old in sorted(path for path in root.iterdir() if path.is_dir())[: -RUNS_KEPT + 1]:
        shutil.rmtree(old, ignore_errors=True)
    folder = root.resolve() / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
    (folder / "logs").mkdir(parents=True)
    (folder / "tmp").mkdir()
    return folder


@contextmanager
def _hosted(host: StepHost | None) -> Iterator[None]:
    """Let the host run what `kfp.local` would start an interpreter for, which it offers no setting for."""
    if host is None:
        yield
        return
    from kfp.local import subprocess_task_handler as handler  # noqa: PLC0415 - takes seconds

    before = handler.run_local_subprocess
    handler.run_local_subprocess = host.run
    try:
        yield
    finally:
        handler.run_local_subprocess = before


@contextmanager
def _environment(folder: Path) -> Iterator[None]:
    """What the processes of the steps inherit; kfp puts `sys.executable` into a shell line as it is."""
    before, executable, temporary = os.environ.copy(), sys.executable, tempfile.tempdir
    os.environ |= {"TMPDIR": str(folder / "tmp"), "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"}
    os.environ[EXECUTION] = f"local-{uuid.uuid4()}"
    sys.executable = shlex.quote(executable)
    try:
        yield
    finally:
        sys.executable, tempfile.tempdir = executable, temporary
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder / "tmp", ignore_errors=True)


@contextmanager
def _terminated_with_children() -> Iterator[None]:
    """End the running step too when this process is asked to end."""

    def end(_number: int, _frame: FrameType | None) -> None:
        for child in _descendants(os.getpid()):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)
        raise SystemExit(128 + signal.SIGTERM)

    try:
        before = signal.signal(signal.SIGTERM, end)
    except ValueError:  # not in the main thread: whoever runs this thread decides
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _descendants(process: int) -> Iterator[int]:
    children = Path(f"/proc/{process}/task/{process}/children")
    for child in map(int, children.read_text().split() if children.exists() else ()):
        yield from _descendants(child)
        yield child
