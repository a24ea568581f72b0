"""A pipeline run without training: the real first step and the real last two steps.

    python -m tests.support.short_run ROOT RELEASE RUN_ID

The trigger's launcher can start it instead of the whole training.
"""

import sys
from pathlib import Path

from kfp import compiler, dsl
from rich.console import Console

from components.compare.component import compare
from components.promote.component import promote
from components.shared import failures
from components.start_run.component import start_run
from pipelines.local.runner import run_pipeline

IMAGE = "product-classifier/trainer:dev"


@dsl.component(base_image=IMAGE, install_kfp_package=False)
def copy_hold_out(cache_key: str, path: str, test: dsl.Output[dsl.Dataset]) -> None:
    import shutil

    shutil.copy(path, test.path)


@dsl.pipeline(name="short")
def short(store: str, rollout: str, tracking_uri: str, release: str, raw: str, test: str, run_id: str) -> None:
    run = start_run(store=store, raw=raw, run_id=run_id, cache_buster="", snapshot="")
    hold_out = copy_hold_out(cache_key=run.outputs["cache_key"], path=test)
    compared = compare(
        release=release,
        raw=raw,
        raw_revision=run.outputs["raw_revision"],
        test=hold_out.outputs["test"],
        rollout=rollout,
        min_gain=0.002,
        confidence=0.9,
        min_items=10,
        max_drop=0.25,
        max_slowdown=100.0,
        slow_ms=1000.0,
        resamples=200,
        seed=27,
        store=store,
    )
    promote(
        release=release,
        decision=compared.outputs["decision"],
        report=compared.outputs["report"],
        tracking_uri=tracking_uri,
        experiment="product-classifier",
        rollout=rollout,
        service="",
        smoke_deadline_s=10.0,
        releases_kept=0,
        run_id=run_id,
        store=store,
    )


def main(root: Path, release: str, run_id: str) -> None:
    package = root / "short.yaml"
    if not package.exists():
        compiler.Compiler().compile(short, str(package))
    store, raw = f"file://{root}/store", root / "raw"
    if not raw.exists():
        raw.mkdir()
        (raw / "X_train.csv").touch()
    given = {
        "store": store,
        "rollout": f"file://{root}/releases",
        "tracking_uri": f"sqlite:///{root}/mlflow.db",
        "release": release,
        "raw": str(raw),
        "test": str(root / "test.parquet"),
        "run_id": run_id,
    }
    with failures.record_run_failure(run_id, store):
        run_pipeline(package, given, root / "pipeline", Console())


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:4])
