"""Run a compiled pipeline on this machine with `kfp.local`, each step in its own process."""

import os
import shutil
import signal
import tempfile
import uuid
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from components.shared.failures import EXECUTION
from pipelines.compat.kfp import quoted_interpreter, remove_retries, step_runner
from pipelines.compile import declared_parameters
from pipelines.local.run_progress import ProgressStream, StepProgress
from pipelines.local.step_host import StepHost
from pipelines.parameters import cast_arguments
from product_classifier.errors import ProductClassifierError

RUNS_KEPT = 5
"""Folders of runs, with artifacts and logs, that stay on disk."""


class StepFailed(ProductClassifierError):
    """A step of a local run failed; the message names the step, its error and its log."""


@dataclass(frozen=True, slots=True)
class LocalRunResult:
    """Outputs of a pipeline, seconds per step, and the folder with artifacts and logs."""

    outputs: Mapping[str, Any]
    seconds: Mapping[str, float]
    folder: Path


def run_pipeline(
    package: Path, arguments: Mapping[str, Any], root: Path, console: Console, host: StepHost | None = None
) -> LocalRunResult:
    """Run a compiled pipeline in a new folder of `root`.

    Args:
        package: The compiled pipeline.
        arguments: Its parameters.
        root: Folder of the runs; only the newest `RUNS_KEPT` are kept.
        console: Where progress is printed.
        host: Process that forks the steps; `kfp.local` starts an interpreter per step without one.

    Raises:
        ParameterError: If an argument does not fit the pipeline; nothing has run then.
        StepFailed: If a step fails.
    """
    arguments = cast_arguments(arguments, declared_parameters(package))
    folder = _create_run_folder(root)
    console.file = console.file  # binds the terminal: the console follows `sys.stdout` otherwise
    progress = ProgressStream(console, folder / "logs")
    with (
        warnings.catch_warnings(),
        _step_environment(folder),
        quoted_interpreter(),
        step_runner(host.run) if host else nullcontext(),
        _terminate_children(),
    ):
        warnings.simplefilter("ignore")  # kfp warns of images and limits, which a local run does not use
        pipeline = _load(package, folder)
        try:
            with redirect_stdout(progress):
                task = pipeline(**arguments)
        except RuntimeError as error:
            if (failed := progress.failed_step) is None:
                raise
            raise StepFailed(_failure_message(failed)) from error
        finally:
            progress.stop()
    return LocalRunResult(dict(task.outputs), {step.name: step.duration_s or 0.0 for step in progress.steps}, folder)


def _failure_message(step: StepProgress) -> str:
    return f"step {step.name!r} failed: {step.error()} (log: {step.log})"


def _load(package: Path, folder: Path) -> Any:
    from kfp import components, local  # noqa: PLC0415 - takes seconds

    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(folder), enable_caching=False)
    pipeline = components.load_component_from_file(str(package))
    remove_retries(pipeline)
    return pipeline


def _create_run_folder(root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for old in sorted(path for path in root.iterdir() if path.is_dir())[: -RUNS_KEPT + 1]:
        shutil.rmtree(old, ignore_errors=True)
    folder = root.resolve() / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{os.getpid()}"
    (folder / "logs").mkdir(parents=True)
    (folder / "tmp").mkdir()
    return folder


@contextmanager
def _step_environment(folder: Path) -> Iterator[None]:
    """Set the environment that the processes of the steps inherit; restore it at the end."""
    environment, temporary = os.environ.copy(), tempfile.tempdir
    os.environ |= {"TMPDIR": str(folder / "tmp"), "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"}
    os.environ[EXECUTION] = f"local-{uuid.uuid4()}"
    try:
        yield
    finally:
        tempfile.tempdir = temporary
        os.environ.clear()
        os.environ.update(environment)
        shutil.rmtree(folder / "tmp", ignore_errors=True)


@contextmanager
def _terminate_children() -> Iterator[None]:
    """Terminate the running step too when this process receives SIGTERM."""

    def terminate(_number: int, _frame: FrameType | None) -> None:
        for child in _descendants(os.getpid()):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)
        raise SystemExit(128 + signal.SIGTERM)

    try:
        before = signal.signal(signal.SIGTERM, terminate)
    except ValueError:  # not the main thread: signals belong to the caller
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _descendants(process: int) -> Iterator[int]:
    """Yield the descendants of a process, children before their parents."""
    children = Path(f"/proc/{process}/task/{process}/children")
    for child in map(int, children.read_text().split() if children.exists() else ()):
        yield from _descendants(child)
        yield child
