"""Fixtures and settings of all tests."""

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.fixtures_data", "tests.support.fixtures_models"]

# The duration of an example depends on the load of the machine, so Hypothesis must not limit it.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")

# A shell that starts the tests in the background makes them, and every process they start, ignore SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _same_umask() -> Iterator[None]:
    """A service makes its files private at start, which must not last beyond the test that started it."""
    umask = os.umask(0o022)
    os.umask(umask)
    yield
    os.umask(umask)
