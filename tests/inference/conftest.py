"""One release and one set of model servers for all tests of serving."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from product_classifier.releases.release import Release, open_release
from tests.support.model_servers import MODULES, RunningServer, served
from tests.support.tiny_release import make_release


@pytest.fixture(scope="session")
def releases(release_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Release, Release]:
    """A trained release and one of random weights, so that their predictions differ."""
    return open_release(release_dir), make_release(tmp_path_factory.mktemp("releases"), 2)


@pytest.fixture(scope="session")
def servers(
    releases: tuple[Release, Release], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, RunningServer]]:
    """The three model servers with the first release."""
    with served(list(MODULES), releases[0].path, tmp_path_factory.mktemp("logs")) as running:
        yield running


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder
