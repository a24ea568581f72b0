"""The scoring pipeline, compiled and run with `kfp.local`."""

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from rich.console import Console

from components.shared.published_releases import publish
from pipelines.local.runner import run_pipeline
from pipelines.scoring import worker_process
from pipelines.scoring.scoring_pipeline import WORKERS, compile_scoring, complete_scoring, plan_scoring, score_shards
from product_classifier.scoring.job import open_job_folder
from product_classifier.store import open_store
from tests.support.tiny_release import make_release

LAYOUT = "products: [offers.csv]\ncolumns: {id: sku, designation: title, category: kind}\n"


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, str]:
    """Arguments of a run that scores 50 products; everything is in folders."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "catalogue.yaml").write_text(LAYOUT)
    (source / "offers.csv").write_text("sku,title\n" + "".join(f"p{at},kettle {at}\n" for at in range(50)))
    store = (tmp_path / "store").as_uri()
    release = make_release(tmp_path / "releases", 1)
    publish(open_store(store, create=True), release)
    return {
        "source": source.as_uri(),
        "result": (tmp_path / "scores").as_uri(),
        "release": release.id,
        "store": store,
    }


def documents(package: Path) -> list[Any]:
    return list(yaml.safe_load_all(package.read_text()))


def test_a_fixed_number_of_workers_is_started_whatever_the_size_of_the_source(tmp_path: Path) -> None:
    spec, platform = documents(compile_scoring(tmp_path / "scoring.yaml", 3))

    loop = next(one for one in spec["root"]["dag"]["tasks"].values() if "parameterIterator" in one)
    assert "[0, 1, 2]" == loop["parameterIterator"]["items"]["raw"]
    assert 3 == loop["iteratorPolicy"]["parallelismLimit"]
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert 3 == len(executors)
    assert all(int(one["activeDeadlineSeconds"]) > 0 for one in executors.values())
    assert WORKERS <= 32


def test_no_step_is_cached(tmp_path: Path) -> None:
    spec, _ = documents(compile_scoring(tmp_path / "scoring.yaml"))
    dags = [spec["root"]["dag"], *(one["dag"] for one in spec["components"].values() if "dag" in one)]
    tasks = [task for dag in dags for task in dag["tasks"].values() if "parameterIterator" not in task]

    assert [False] * len(tasks) == [bool(task["cachingOptions"].get("enableCache")) for task in tasks]


def test_shards_that_a_lost_worker_left_are_scored_by_the_last_step(
    arguments: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = arguments
    job = plan_scoring.python_func(**arguments)
    with monkeypatch.context() as broken:
        broken.setattr(worker_process, "ProductModels", _unavailable)
        assert 0 == score_shards.python_func(**given, worker=0, workers=2)
    assert "worker ended early: the disk is full" in capsys.readouterr().err

    scored = complete_scoring.python_func(**arguments, scored=[0])

    assert 50 == scored
    assert 50 == open_job_folder(job).summary()["rows"]


def _unavailable(_: Path) -> None:
    raise OSError("the disk is full")


@pytest.mark.slow
def test_a_run_scores_each_product_once_and_a_second_run_nothing(arguments: dict[str, str], tmp_path: Path) -> None:
    package = compile_scoring(tmp_path / "scoring.yaml", 2)
    console = Console(file=io.StringIO())

    run_pipeline(package, arguments, tmp_path / "runs", console)

    result = tmp_path / "scores"
    summary = json.loads((result / "_complete.json").read_text())
    found = pd.concat([pd.read_parquet(result / part) for part in summary["parts"]])
    assert [f"p{at}" for at in range(50)] == list(found["product_id"])
    written = {path: path.stat().st_mtime_ns for path in result.rglob("*.*")}
    run_pipeline(package, arguments, tmp_path / "runs", console)
    assert written == {path: path.stat().st_mtime_ns for path in result.rglob("*.*")}
