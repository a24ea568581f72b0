"""Fixtures every test may ask for."""

import signal

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.support.fixtures_data", "tests.support.fixtures_models"]

# How long an example takes says how busy the machine is, nothing about the code.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")

# A shell that starts the tests in the background lets them ignore Ctrl-C, and with them every process they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
