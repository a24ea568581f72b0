"""Fixtures every test may ask for."""

pytest_plugins = ["tests.fixtures_data", "tests.fixtures_models"]
