"""When Kubeflow Pipelines may answer from what it remembers, and when not."""

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


def ended(store: Store, outcome: str, reason: str = "") -> None:
    """Let a run end; `reason` is what one of its steps wrote."""
    run_store = RunStore(open_store(store, create=True))
    claim = request_run(run_store, (), "ada", NOW)
    if reason:
        write_reason("train_text", claim.run_id, store, reason)
    run_store.finish(claim.generation, claim.run_id, outcome, "it ended", NOW)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return (tmp_path / "store").as_uri()


@pytest.mark.parametrize(
    ("happens", "remembered"),
    [
        pytest.param(lambda _: None, True, id="nothing"),
        pytest.param(lambda store: ended(store, "succeeded"), True, id="a run succeeds"),
        pytest.param(lambda store: ended(store, "failed", "MLflow was away"), True, id="a run fails and says why"),
        pytest.param(lambda store: ended(store, "failed"), False, id="a run fails without a word"),
    ],
)
def test_only_a_run_that_failed_without_a_word_makes_what_is_remembered_doubtful(
    store: Store, happens: Callable[[Store], None], remembered: bool
) -> None:
    before = cache_key(store)
    happens(store)

    assert remembered is (before == cache_key(store))


def test_what_came_before_stays_doubtful_when_later_runs_succeed(store: Store) -> None:
    ended(store, "failed")
    doubted = cache_key(store)
    ended(store, "succeeded")
    ended(store, "failed", "MLflow was away")

    assert doubted == cache_key(store)


def test_a_person_can_ask_for_a_fresh_start(store: Store) -> None:
    assert 3 == len({cache_key(store, fresh) for fresh in ("", "1", "2")})


def test_other_code_is_another_recipe(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "components"
    package.mkdir()
    monkeypatch.setattr(module.components, "__path__", [str(package)])
    found = []
    for code in ("SIZE = 1", "SIZE = 2", "SIZE = 1"):
        (package / "step.py").write_text(code)
        found.append(cache_key(store))

    assert found[0] == found[2] != found[1]
