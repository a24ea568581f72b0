"""Which steps Kubeflow Pipelines takes from its cache; how a failing step finds its run."""

import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from components.shared.rollout import history
from pipelines.kubeflow.submit import submit_run
from product_classifier.catalogue.challenge.sample import make_sample
from product_classifier.feedback.records import ProductContent
from product_classifier.feedback.trust import Label, product_key
from product_classifier.retraining import RunStore, acquire_run, request_run, write_snapshot
from product_classifier.store import ObjectStore
from tests.e2e import cluster
from tests.e2e.cluster import STORE, Product, until
from tests.e2e.kubeflow import executors, trigger_environment

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore:This client only works", "ignore:.*executor_input.*"),
]
BEFORE_CORRECTIONS = {"prepare-catalogue", "split-catalogue"}
CACHED = BEFORE_CORRECTIONS | {
    "merge-corrections",
    "train-text",
    "train-image",
    "fit-fusion",
    "find-suspects",
    "evaluate",
}
NOT_CACHED = {"start-run", "register", "compare", "promote"}
UNSEEN = "splits/unseen.parquet"
NEVER = {"gate_min_gain": 2.0}
"""A gate that no release passes, so that the runs of these tests promote nothing."""


@dataclass
class Runs:
    """Pipeline runs on a small sample, evaluated against the champion."""

    client: Any
    store: ObjectStore
    package: Path
    raw: str
    cache_buster: str = field(default_factory=lambda: uuid.uuid4().hex)
    started: list[str] = field(default_factory=list)

    def start(self, **given: Any) -> str:
        known = trigger_environment()
        arguments = {
            "raw": f"{STORE}/{self.raw}",
            "store": STORE,
            "tracking_uri": known["MLFLOW_TRACKING_URI"],
            "rollout": known["ROLLOUT_URL"],
            "cache_buster": self.cache_buster,
            "image_size": 32,
            **NEVER,
            **given,
        }
        run = submit_run(self.client, self.package, arguments, f"cached-{uuid.uuid4().hex[:6]}", "end-to-end")
        self.started.append(run)
        return run

    def finish(self, run: str) -> dict[str, str]:
        assert "SUCCEEDED" == self.client.wait_for_run_completion(run, 600).state, executors(run)
        return executors(run)

    def run_until(self, run: str, step: str) -> dict[str, str]:
        """Wait until a step has started or is skipped, stop the run and return the phases."""
        until(lambda: executors(run).get(step) in {"Running", "Succeeded", "Skipped"}, 240, f"step {step}")
        found = executors(run)
        self.client.terminate_run(run)
        return found

    def decided(self) -> set[str]:
        """Return the releases whose promotion has ended."""
        keys = self.store.list(history.PREFIX)
        return {Path(key).stem for key in keys if key.endswith(".json")}


@pytest.fixture(scope="module")
def runs(client: Any, image: str, product: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    raw = f"end-to-end/{uuid.uuid4().hex[:8]}/raw"
    with tempfile.TemporaryDirectory() as folder:
        make_sample(Path(folder), 270, 3)
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                product.store.put(f"{raw}/{path.relative_to(folder).as_posix()}", path.read_bytes())
    package = tmp_path_factory.mktemp("package") / "training.yaml"
    # In a separate process: the name of the image is read when a step is imported, which may have happened here.
    command = [sys.executable, "-m", "pipelines", "compile", "--output", str(package)]
    subprocess.run(command, check=True, env=os.environ | {"TRAINER_IMAGE": image})
    runs, before = Runs(client, product.store, package, raw), set(product.published())
    unseen = product.store.get(UNSEEN)  # each training replaces it
    yield runs
    product.store.put(UNSEEN, unseen)
    for release in set(product.published()) - before:
        product.delete(release)
    for key in list(product.store.list(f"{raw}/")):
        product.store.delete(key)


def of_phase(found: dict[str, str], phase: str) -> set[str]:
    return {step for step, is_phase in found.items() if is_phase == phase}


def test_the_same_data_and_corrections_are_computed_once_and_evaluated_each_time(runs: Runs, product: Product) -> None:
    champion, before = product.current, runs.decided()
    first = runs.finish(runs.start())
    between = runs.decided()
    again = runs.start()
    second = runs.finish(again)

    assert CACHED | NOT_CACHED == of_phase(first, "Succeeded")
    assert (CACHED, NOT_CACHED) == (of_phase(second, "Skipped"), of_phase(second, "Succeeded"))
    states = [task.state for task in runs.client.get_run(again).run_details.task_details]
    assert len(CACHED) == states.count("SKIPPED")
    (one,), (other,) = between - before, runs.decided() - between
    assert one != other
    for release in (one, other):
        ended = history.find(product.store, release)
        assert ended
        assert (champion, False, True) == (ended.champion, ended.promoted, bool(ended.metrics["before"]))
    assert champion == product.current


def test_new_corrections_rerun_what_follows_the_split_and_new_raw_files_rerun_everything(runs: Runs) -> None:
    subject = ProductContent(designation=f"un produit corrige {uuid.uuid4().hex[:8]}")
    label = Label(product_key(subject), subject, 40, "f0", datetime.now(UTC), "trusted")
    corrected = runs.run_until(runs.start(snapshot=write_snapshot(runs.store, [label])), "merge-corrections")
    runs.store.put(f"{runs.raw}/readme.txt", b"another file")
    changed = runs.run_until(runs.start(), "prepare-catalogue")

    assert BEFORE_CORRECTIONS == of_phase(corrected, "Skipped")
    assert set() == of_phase(changed, "Skipped")


def test_a_step_that_fails_finds_the_run_it_belongs_to(client: Any, runs: Runs, product: Product) -> None:
    """In a separate bucket, so that no trigger manages the run."""
    bucket = f"end-to-end-{uuid.uuid4().hex[:8]}"
    with cluster.bucket(bucket) as store:
        run_store = RunStore(store)
        run_id = request_run(run_store, (), "ada", datetime.now(UTC)).run_id
        store.put("raw/notes.txt", b"no table of products")
        run = runs.start(store=f"s3://{bucket}", raw=f"s3://{bucket}/raw", run_id=run_id)
        failure = until(lambda: RunStore(store).failure(run_id), 240, "a reason")
        client.terminate_run(run)

        assert ("prepare_catalogue", run) == (failure.step, getattr(run_store.owner(run_id), "execution", None))
        assert "CatalogueError" in failure.reason
        assert not acquire_run(run_store, run_id, "another", datetime.now(UTC))
