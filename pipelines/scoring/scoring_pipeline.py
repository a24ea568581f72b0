"""`make score` on Kubeflow Pipelines: plan, a fixed number of workers, completion.

An iteration per shard would break on limits of the platform (retries and sizes of loops), so a loop over small
integers starts the workers, and shards and receipts are objects of the store. A run that is repeated skips what has a
receipt.
"""

from pathlib import Path
from typing import Any

from kfp import dsl

from components.shared import step_image
from pipelines.compile import compile_pipeline
from pipelines.task_configuration import LARGE, SMALL, configure_task

PACKAGE = Path("build/scoring.yaml")
SCORING = "product-classifier-scoring"
"""Name of the pipeline on Kubeflow Pipelines."""
WORKERS = 4


def compile_scoring(package: Path = PACKAGE, workers: int = WORKERS) -> Path:
    """Compile the pipeline with a number of workers to `package` and return that path."""
    return compile_pipeline(scoring_pipeline(workers), package)


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def plan_scoring(source: str, result: str, release: str, store: str) -> str:
    """Cut the source into shards, unless that is done; return the URL of the job.

    Args:
        source: Products to score, s3://bucket/key.
        result: Where predictions are written, s3://bucket/prefix.
        release: Id of the release that predicts.
        store: Object store with the releases.
    """
    from pipelines.scoring.score import plan_result

    return plan_result(source, result, release, store)


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def score_shards(source: str, result: str, release: str, store: str, worker: int, workers: int) -> int:
    """Score shards that have no receipt, until none is left; return how many.

    Args:
        source: Products to score, where photos are read.
        result: Where predictions are written.
        release: Id of the release that predicts.
        store: Object store with the releases.
        worker: Number of this worker, from 0.
        workers: Number of workers.
    """
    import os

    from components.shared.failures import EXECUTION
    from pipelines.scoring.worker_process import score_left

    return score_left(result, release, store, source, os.environ.get(EXECUTION, ""), worker / workers)


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def complete_scoring(source: str, result: str, release: str, store: str, scored: list[int]) -> int:
    """Score what lost workers left, check the receipts and write the result; return the scored rows.

    Args:
        source: Products to score, where photos are read.
        result: Where predictions are written.
        release: Id of the release that predicts.
        store: Object store with the releases.
        scored: Shards per worker; this step starts after the last of them.
    """
    import sys

    from pipelines.scoring.score import complete_result
    from pipelines.scoring.worker_process import score_left

    score_left(result, release, store, source)
    sys.stdout.write(f"shards by worker: {scored}\n")
    return int(complete_result(result)["scored"])


def scoring_pipeline(workers: int) -> Any:
    """Return the pipeline function with a number of workers."""

    @dsl.pipeline(name="scoring", description="Classify a whole catalogue; a repeated run continues.")
    def scoring(source: str, result: str, release: str, store: str) -> int:
        planned = plan_scoring(source=source, result=result, release=release, store=store)
        configure_task(planned, SMALL)
        with dsl.ParallelFor(list(range(workers)), parallelism=workers) as worker:
            shards = score_shards(
                source=source, result=result, release=release, store=store, worker=worker, workers=workers
            ).after(planned)  # `kfp.local` replaces outputs of other tasks in a loop by the item
            configure_task(shards, LARGE)
        completed = complete_scoring(
            source=source,
            result=result,
            release=release,
            store=store,
            scored=dsl.Collected(shards.output),
        )
        configure_task(completed, LARGE)
        return completed.output  # type: ignore[no-any-return]  # a channel

    return scoring
