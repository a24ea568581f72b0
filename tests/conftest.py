"""Fixtures and settings of all tests."""

import signal

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.fixtures_data", "tests.support.fixtures_models"]

# The duration of an example depends on the load of the machine, so Hypothesis must not limit it.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")

# A shell that starts the tests in the background makes them, and every process they start, ignore SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)
