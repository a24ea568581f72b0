"""The feedback service on a store in memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fakes import FakeStore
from tests.support.feedback_service_harness import FeedbackHarness


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def harness(store: FakeStore, tmp_path: Path) -> Iterator[FeedbackHarness]:
    with FeedbackHarness(store, tmp_path / "journal") as harness:
        yield harness
