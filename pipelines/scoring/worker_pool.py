"""Run the workers of a scoring job as processes of this machine."""

import os
import queue
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Final

from pipelines.scoring.worker_process import ONE_THREAD
from product_classifier.errors import ScoringError
from product_classifier.scoring.job import JobFolder

ROUNDS: Final = 3
"""How often workers are started while some end before their shards are scored."""


def run_workers(folder: JobFolder, arguments: Sequence[str], count: int, on_rows: Callable[[int], None]) -> None:
    """Score all shards of a job; workers that were killed are started again.

    Args:
        folder: The job.
        arguments: Options of every worker.
        count: Number of processes.
        on_rows: Called with the number of rows of each scored shard.

    Raises:
        ScoringError: If a worker fails, or shards are left after `ROUNDS`.
    """
    shards = len(folder.require_plan().shards)
    ended = ""
    for _ in range(ROUNDS):
        left = shards - len(folder.finished_shards())
        if not left:
            return
        ended = _run_round(arguments, min(count, left), on_rows) or ended
    if len(folder.finished_shards()) < shards:
        raise ScoringError(
            f"workers ended {ROUNDS} times before all shards were scored ({ended}); give them more memory or"
            " fewer JOBS, and run the same command again"
        )


def _run_round(arguments: Sequence[str], count: int, on_rows: Callable[[int], None]) -> str:
    """Start workers and return when all have ended; return why one was killed, if any."""
    execution = uuid.uuid4().hex
    messages: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    killed = ""
    with tempfile.TemporaryFile("w+") as errors, _terminated() as workers:
        for number in range(count):
            options = ["--execution", execution, "--position", str(number / count), "--parent", str(os.getpid())]
            worker = subprocess.Popen(  # noqa: S603 - this project
                [sys.executable, "-m", "pipelines.scoring.worker_process", *arguments, *options],
                env=os.environ | ONE_THREAD,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
            workers.append(worker)
            threading.Thread(target=_forward, args=(worker.stdout, messages), daemon=True).start()
        for rows in _until_ended(messages, count):
            on_rows(rows)
        for worker in workers:
            status = worker.wait()
            if status < 0:
                killed = f"the last by signal {-status}"
            elif status:
                errors.seek(0)
                raise ScoringError(errors.read().strip().rpartition("\n")[2][:500] or f"a worker ended with {status}")
    return killed


def _forward(lines: IO[str] | None, messages: "queue.SimpleQueue[int | None]") -> None:
    for line in lines or ():
        messages.put(int(line.split()[1]))
    messages.put(None)


def _until_ended(messages: "queue.SimpleQueue[int | None]", workers: int) -> Iterator[int]:
    while workers:
        if (rows := messages.get()) is None:
            workers -= 1
        else:
            yield rows


@contextmanager
def _terminated() -> "Iterator[list[subprocess.Popen[str]]]":
    """Yield a list; terminate the processes in it that still run at the end."""
    workers: list[subprocess.Popen[str]] = []
    try:
        yield workers
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.terminate()
        for worker in workers:
            worker.wait()
            if worker.stdout is not None:
                worker.stdout.close()
