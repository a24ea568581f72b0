from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fakes import FakeStore
from tests.support.feedback_service_harness import Office


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def office(store: FakeStore, tmp_path: Path) -> Iterator[Office]:
    with Office(store, tmp_path / "journal") as office:
        yield office
