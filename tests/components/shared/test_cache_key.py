"""Changes that invalidate cached results of Kubeflow Pipelines."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from components.shared import cache_key as module
from components.shared.cache_key import cache_key
from components.shared.failures import write_reason
from product_classifier.retraining import RunStore, request_run
from product_classifier.store import open_store

NOW = datetime(2030, 1, 1, tzinfo=UTC)
Store = str


def finish_run(store: Store, outcome: str, reason: str = "") -> None:
    """Finish a run; `reason` is what one of its steps recorded."""
    run_store = RunStore(open_store(store, create=True))
    claim = request_run(run_store, (), "ada", NOW)
    if reason:
        write_reason("train_text", claim.run_id, store, reason)
    run_store.finish(claim.generation, claim.run_id, outcome, "done", NOW)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return (tmp_path / "store").as_uri()


@pytest.mark.parametrize(
    ("happens", "unchanged"),
    [
        pytest.param(lambda _: None, True, id="nothing"),
        pytest.param(lambda store: finish_run(store, "succeeded"), True, id="a run succeeds"),
        pytest.param(lambda store: finish_run(store, "failed", "MLflow failed"), True, id="a run fails with a reason"),
        pytest.param(lambda store: finish_run(store, "failed"), False, id="a run fails without a reason"),
    ],
)
def test_only_a_failed_run_without_a_reason_changes_the_key(
    store: Store, happens: Callable[[Store], None], unchanged: bool
) -> None:
    before = cache_key(store)
    happens(store)

    assert unchanged is (before == cache_key(store))


def test_the_key_stays_changed_when_later_runs_succeed(store: Store) -> None:
    finish_run(store, "failed")
    changed = cache_key(store)
    finish_run(store, "succeeded")
    finish_run(store, "failed", "MLflow failed")

    assert changed == cache_key(store)


def test_another_cache_buster_gives_another_key(store: Store) -> None:
    assert 3 == len({cache_key(store, buster) for buster in ("", "1", "2")})


def test_other_code_gives_another_key(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "components"
    package.mkdir()
    monkeypatch.setattr(module.components, "__path__", [str(package)])
    found = []
    for code in ("SIZE = 1", "SIZE = 2", "SIZE = 1"):
        (package / "step.py").write_text(code)
        found.append(cache_key(store))

    assert found[0] == found[2] != found[1]
