"""Score shards of a planned job in this process; any number of such processes may share a job.

Each is one process of `make score`, or one pod of a cluster.
"""

import argparse
import os
import sys
import tempfile
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from pipelines.scoring.locations import find_release, result_place
from pipelines.scoring.photo_reader import PhotoReader
from pipelines.settings import PipelineSettings
from product_classifier.errors import ProductClassifierError
from product_classifier.parent_process import terminate_with_parent
from product_classifier.releases.product_models import ProductModels
from product_classifier.scoring.job import JobFolder, Shard, open_job_folder
from product_classifier.scoring.worker import run_worker
from product_classifier.settings_reader import read_settings

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Environment of a worker: the workers share the processors, so each computes with one thread."""


def score_here(
    folder: JobFolder,
    release: str,
    source: str,
    execution: str = "",
    position: float = 0.0,
    on_scored: Callable[[Shard], None] = lambda _: None,
    *,
    private_photos: bool = False,
    settings: PipelineSettings | None = None,
) -> int:
    """Score the shards of a job that are not scored yet in this process; return how many.

    Args:
        folder: The job.
        release: Folder, `s3://` location or id of the release.
        source: Location of the source, where photos are read.
        execution: Id that the workers started together share; empty for a worker of its own.
        position: Where among the shards to start, from 0 to 1.
        on_scored: Called after each shard.
        private_photos: Whether photos by URL may have private addresses.
        settings: Where releases are; by default of the environment.
    """
    with tempfile.TemporaryDirectory(prefix="score-") as name:
        scratch = Path(name)
        models = ProductModels(find_release(settings or read_settings(PipelineSettings), release, scratch))
        photos = PhotoReader(source, scratch, private_addresses=private_photos)
        return run_worker(folder, models, photos, execution or uuid.uuid4().hex, position, on_scored)


def score_left(result: str, release: str, store: str, source: str, execution: str = "", position: float = 0.0) -> int:
    """Score the shards of a job that are not scored yet, as a step of a pipeline; return how many.

    The step succeeds whatever happens to a shard: a failed iteration would end its siblings, and the step after the
    workers scores what they left and reports what fails again.

    Args:
        result: Where predictions are written.
        release: Id of the release.
        store: Object store with the releases.
        source: Location of the source, where photos are read.
        execution: Id that the workers started together share.
        position: Where among the shards to start, from 0 to 1.
    """
    scored: list[Shard] = []
    os.environ |= ONE_THREAD
    settings = PipelineSettings(store_url=store)
    try:
        folder = open_job_folder(result_place(result).job)
        score_here(folder, release, source, execution, position, scored.append, settings=settings)
    except (ProductClassifierError, OSError) as error:
        sys.stderr.write(f"worker ended early: {error}\n")
    return len(scored)


def main(argv: Sequence[str]) -> int:
    """Run a worker; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.scoring.worker_process", description=__doc__)
    parser.add_argument("--job", required=True, help="file:///folder or s3://bucket/prefix of the job")
    parser.add_argument("--release", required=True, help="folder, s3://bucket/prefix or id of the release")
    parser.add_argument("--source", required=True, help="location of the source, where photos are read")
    parser.add_argument("--execution", required=True, help="id that the workers started together share")
    parser.add_argument("--position", type=float, default=0.0, help="where among the shards to start, from 0 to 1")
    parser.add_argument("--private-photos", action="store_true", help="accept photo URLs with private addresses")
    parser.add_argument("--parent", type=int, help="process to end with")
    given = parser.parse_args(argv)
    if given.parent is not None:
        terminate_with_parent(given.parent)
    try:
        place = given.release, given.source, given.execution, given.position
        score_here(open_job_folder(given.job), *place, _report, private_photos=given.private_photos)
    except (ProductClassifierError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _report(shard: Shard) -> None:
    sys.stdout.write(f"{shard.number} {shard.rows}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    os.environ.update(ONE_THREAD)
    sys.exit(main(sys.argv[1:]))
