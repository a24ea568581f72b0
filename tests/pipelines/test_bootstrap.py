"""The first release of an empty deployment."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rich.console import Console

from pipelines import bootstrap
from pipelines.bootstrap import BootstrapSettings, NothingInService, check_tracking, ensure_raw, in_service, wait_for
from pipelines.settings import Settings
from product_classifier.catalogue.raw_files import find_files
from product_classifier.errors import LauncherUnavailable, StoreUnavailable
from product_classifier.retraining.launcher import Execution
from product_classifier.store import open_store
from tests.support.fakes import FakeStore
from tests.support.tiny_release import make_release


@dataclass
class SlowLauncher:
    """A run takes a few looks; at some of them the API does not answer."""

    looks: list[Execution | Exception | None]
    started: list[str] = field(default_factory=list)

    def find(self, run_id: str) -> Execution | None:
        found = self.looks.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def start(self, run_id: str, snapshot: str) -> None:
        self.started.append(run_id)

    def stop(self, run_id: str) -> None:
        raise AssertionError(run_id)


def test_an_empty_store_gets_the_sample_with_the_labels_last_and_keeps_it(tmp_path: Path) -> None:
    class Ordered(FakeStore):
        def put(self, key: str, data: bytes, *, only_if_absent: bool = False) -> None:
            order.append(key)
            super().put(key, data, only_if_absent=only_if_absent)

    order: list[str] = []
    store = Ordered()

    said = [ensure_raw(store, 27), ensure_raw(store, 27)]

    assert ["raw/ holds a sample of 27 products now", "raw/ holds a catalogue, which is used as it is"] == said
    assert "raw/Y_train_CVw08PX.csv" == order[-1]
    assert sorted(store.objects) == sorted(order)
    for key, content in store.objects.items():
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).write_bytes(content)
    assert find_files(tmp_path / "raw").photos


def test_a_catalogue_that_somebody_put_there_is_used() -> None:
    store = FakeStore()
    store.put("raw/Y_train.csv", b",prdtypecode\n0,10\n")

    ensure_raw(store, 27)

    assert ["raw/Y_train.csv"] == list(store.objects)


@pytest.mark.parametrize(
    ("looks", "started"),
    [
        ([None, Execution.ACTIVE, Execution.SUCCEEDED], ["bootstrap"]),
        ([Execution.ACTIVE, Execution.ACTIVE, Execution.SUCCEEDED], []),
        ([Execution.FAILED, Execution.ACTIVE, Execution.SUCCEEDED], ["bootstrap"]),
        ([None, LauncherUnavailable("restarting"), Execution.ACTIVE, Execution.FAILED], ["bootstrap"]),
    ],
    ids=["new", "under way", "failed before", "the API restarts"],
)
def test_a_run_under_way_is_waited_for_and_another_is_started(
    looks: list[Execution | Exception | None], started: list[str]
) -> None:
    launcher = SlowLauncher(looks)

    wait_for(launcher, "bootstrap", 0.001)

    assert (started, []) == (launcher.started, launcher.looks)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path, pipelines_host="http://127.0.0.1:1")


def test_with_a_release_in_service_nothing_is_done(settings: Settings, tmp_path: Path) -> None:
    release = make_release(tmp_path / "releases", 1)
    (tmp_path / "releases" / "champion").write_text(release.id)
    printed = io.StringIO()

    bootstrap.run(settings, BootstrapSettings(), Console(file=printed, soft_wrap=True))

    assert f"release {release.id} is in service: nothing to do\n" == printed.getvalue()
    assert [] == list(open_store(settings.store).list())


def test_what_comes_up_late_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: Iterator[Exception | str] = iter([StoreUnavailable("starting"), ConnectionRefusedError(), "up"])

    def look() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert "up" == bootstrap._when_up(BootstrapSettings(bootstrap_poll_s=0.001), look)


def test_a_tracking_server_that_does_not_answer_is_an_error_of_the_network() -> None:
    check_tracking("sqlite:///somewhere.db")

    with pytest.raises(OSError, match="refused"):
        check_tracking("http://127.0.0.1:1")


def test_a_training_without_a_release_in_service_is_said(settings: Settings) -> None:
    class Nothing:
        def current(self) -> str | None:
            return None

        def switch(self, release_id: str) -> None:
            raise AssertionError(release_id)

    with pytest.raises(NothingInService, match="no release is in service"):
        in_service(Nothing())
