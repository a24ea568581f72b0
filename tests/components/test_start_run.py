from datetime import UTC, datetime
from pathlib import Path

import pytest

from components.shared import failures
from components.start_run import step
from product_classifier.errors import CatalogueError, RunSuperseded
from product_classifier.retraining import RunStore, request_run
from product_classifier.store import open_store

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = f"file://{tmp_path}/store"
    open_store(url, create=True)
    return url


def claim_run(store: str) -> str:
    return request_run(RunStore(open_store(store)), (), "ada", NOW).run_id


def test_one_execution_owns_the_run_and_any_other_is_superseded(store: str) -> None:
    run_id = claim_run(store)

    for _ in range(2):
        step.run(store, run_id, "x1")
    with pytest.raises(RunSuperseded, match="x2"):
        step.run(store, run_id, "x2")
    assert "x1" == getattr(RunStore(open_store(store)).owner(run_id), "execution", None)


def test_a_finished_run_cannot_be_owned(store: str) -> None:
    run_id = claim_run(store)
    RunStore(open_store(store)).finish(1, run_id, "failed", "stopped", NOW)

    with pytest.raises(RunSuperseded, match=run_id):
        step.run(store, run_id, "x1")


def test_without_a_run_id_the_store_is_not_read() -> None:
    step.run("file:///no/such/folder")


def test_a_failed_step_records_its_reason_and_a_superseded_execution_records_nothing(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, run_store = claim_run(store), RunStore(open_store(store))

    with pytest.raises(RunSuperseded), failures.record_step("start_run", store, run_id):
        raise RunSuperseded("x")
    assert run_store.failure(run_id) is None
    step.run(store, run_id, "x1")
    monkeypatch.setenv(failures.EXECUTION, "x1")
    with pytest.raises(CatalogueError), failures.record_step("prepare_catalogue", store):
        raise CatalogueError("12 of 20 rows were rejected")
    failure = run_store.failure(run_id)
    assert failure
    assert ("prepare_catalogue", "CatalogueError: 12 of 20 rows were rejected") == (failure.step, failure.reason)
    assert ["prepare_catalogue"] == [start.step for start in run_store.step_starts(run_id)]


@pytest.mark.parametrize("execution", ["", "x2"], ids=["no run", "another execution"])
def test_a_step_of_an_execution_that_does_not_own_the_run_records_nothing(
    store: str, monkeypatch: pytest.MonkeyPatch, execution: str
) -> None:
    run_id = claim_run(store)
    step.run(store, run_id, "x1")
    monkeypatch.setenv(failures.EXECUTION, execution)

    with pytest.raises(CatalogueError), failures.record_step("prepare_catalogue", store):
        raise CatalogueError("12 of 20 rows were rejected")

    run_store = RunStore(open_store(store))
    assert (None, []) == (run_store.failure(run_id), run_store.step_starts(run_id))


@pytest.mark.parametrize("run_id", ["", "retrain-000001-0123456789ab"])
@pytest.mark.parametrize("store", ["file:///no/such/folder", "nonsense"])
def test_an_unavailable_store_does_not_hide_the_error_of_a_step(store: str, run_id: str) -> None:
    with pytest.raises(CatalogueError), failures.record_step("train_text", store, run_id):
        raise CatalogueError("nothing to train on")
