"""Prometheus and promtool, found through PROMETHEUS and PROMTOOL or on the PATH."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

METRIC = re.compile(r"\b(?:product_classifier_\w+|process_\w+|up|kube_\w+|certmanager_\w+)\b(?!\s*:)")
SCALE = re.compile(r"\b(\d+)(s|m|h|d)\b")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def program(name: str) -> str:
    """Return the path of `prometheus` or `promtool`; skip the test without it."""
    given = os.environ.get(name.upper(), name)
    found = shutil.which(given)
    if found is None:
        pytest.skip(f"there is no program {given}; install Debian's package prometheus, or set {name.upper()}")
    return found


def promtool(*arguments: str | Path) -> str:
    """Run promtool and return what it prints; fail with it otherwise."""
    done = subprocess.run(
        [program("promtool"), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def metrics_in(expression: str) -> set[str]:
    """Return the names of the metrics in an expression, without the suffixes of a histogram."""
    found = METRIC.findall(re.sub(r'"[^"]*"', "", expression))
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in found}


def shortened(expression: str, factor: float) -> str:
    """Return an expression or duration with every duration divided by `factor`, to a millisecond."""
    return SCALE.sub(lambda found: f"{max(1, round(int(found[1]) * SECONDS[found[2]] * 1000 / factor))}ms", expression)
