"""The first release of an empty deployment."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rich.console import Console

from pipelines.bootstrap import (
    NoReleaseDeployed,
    _wait_until_available,
    bootstrap,
    check_tracking,
    deployed_release,
    upload_sample,
    wait_for,
)
from pipelines.settings import BootstrapSettings, PipelineSettings
from product_classifier.catalogue.challenge.challenge_files import find_files
from product_classifier.errors import LauncherUnavailable, StoreUnavailable
from product_classifier.retraining.launcher import Execution
from product_classifier.store import open_store
from tests.support.fakes import FakeStore
from tests.support.tiny_release import make_release


@dataclass
class SlowLauncher:
    """A launcher that returns the given states one by one, or raises them."""

    states: list[Execution | Exception | None]
    started: list[str] = field(default_factory=list)

    def find(self, run_id: str) -> Execution | None:
        found = self.states.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def start(self, run_id: str, snapshot: str) -> None:
        self.started.append(run_id)

    def stop(self, run_id: str) -> None:
        raise AssertionError(run_id)


def test_an_empty_store_gets_a_sample_once_with_the_labels_last(tmp_path: Path) -> None:
    class Ordered(FakeStore):
        def put(self, key: str, data: bytes, *, only_if_absent: bool = False) -> None:
            order.append(key)
            super().put(key, data, only_if_absent=only_if_absent)

    order: list[str] = []
    store = Ordered()

    messages = [upload_sample(store, 27), upload_sample(store, 27)]

    uploaded = "uploaded a sample catalogue of 27 products to raw/"
    assert [uploaded, "raw/ holds a catalogue, which is used as it is"] == messages
    assert "raw/Y_train_CVw08PX.csv" == order[-1]
    assert sorted(store.objects) == sorted(order)
    for key, content in store.objects.items():
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(content)
    assert find_files(tmp_path / "raw").photos


def test_an_existing_catalogue_is_kept() -> None:
    store = FakeStore()
    store.put("raw/Y_train.csv", b",prdtypecode\n0,10\n")

    upload_sample(store, 27)

    assert ["raw/Y_train.csv"] == list(store.objects)


@pytest.mark.parametrize(
    ("states", "started"),
    [
        ([None, Execution.ACTIVE, Execution.SUCCEEDED], ["bootstrap"]),
        ([Execution.ACTIVE, Execution.ACTIVE, Execution.SUCCEEDED], []),
        ([Execution.FAILED, Execution.ACTIVE, Execution.SUCCEEDED], ["bootstrap"]),
        ([None, LauncherUnavailable("restarting"), Execution.ACTIVE, Execution.FAILED], ["bootstrap"]),
    ],
    ids=["new", "active", "failed before", "the API restarts"],
)
def test_an_active_run_is_waited_for_and_otherwise_a_new_one_is_started(
    states: list[Execution | Exception | None], started: list[str]
) -> None:
    launcher = SlowLauncher(states)

    wait_for(launcher, "bootstrap", 0.001)

    assert (started, []) == (launcher.started, launcher.states)


@pytest.fixture
def settings(tmp_path: Path) -> PipelineSettings:
    return PipelineSettings(state_dir=tmp_path, pipelines_host="http://127.0.0.1:1")


def test_with_a_deployed_release_nothing_is_done(settings: PipelineSettings, tmp_path: Path) -> None:
    release = make_release(tmp_path / "releases", 1)
    (tmp_path / "releases" / "champion").write_text(release.id)
    printed = io.StringIO()

    bootstrap(settings, BootstrapSettings(), Console(file=printed, soft_wrap=True))

    assert f"release {release.id} is deployed: nothing to do\n" == printed.getvalue()
    assert [] == list(open_store(settings.store).list())


def test_a_service_that_is_starting_is_waited_for() -> None:
    results: Iterator[Exception | str] = iter([StoreUnavailable("starting"), ConnectionRefusedError(), "up"])

    def connect() -> str:
        result = next(results)
        if isinstance(result, Exception):
            raise result
        return result

    assert "up" == _wait_until_available(BootstrapSettings(bootstrap_poll_s=0.001), connect)


def test_an_unreachable_tracking_server_is_an_os_error() -> None:
    check_tracking("sqlite:///somewhere.db")

    with pytest.raises(OSError, match="refused"):
        check_tracking("http://127.0.0.1:1")


def test_a_training_run_without_a_deployed_release_is_an_error(settings: PipelineSettings) -> None:
    class EmptyRollout:
        def current(self) -> str | None:
            return None

        def switch(self, release_id: str) -> None:
            raise AssertionError(release_id)

    with pytest.raises(NoReleaseDeployed, match="without a deployed release"):
        deployed_release(EmptyRollout())
