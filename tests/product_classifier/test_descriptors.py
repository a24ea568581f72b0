"""Limits on file descriptors, and what connections may use of them."""

import subprocess
import sys

import pytest

from product_classifier.descriptors import MOST_CONNECTIONS, most_connections, most_grpc_connections

RAISED = """
import resource
from product_classifier.descriptors import raise_descriptor_limit
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
print(raise_descriptor_limit(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(("soft", "hard"), [(64, 1024), (1024, 1024), (100, 4096)])
def test_the_soft_limit_is_raised_to_the_hard_one(soft: int, hard: int) -> None:
    code = RAISED.format(soft=soft, hard=hard)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert f"{hard} {hard}" == run.stdout.strip()


@pytest.mark.parametrize(
    ("descriptors", "connections"),
    [(1, 1), (128, 64), (1024, 512), (4096, 3584), (1_048_576, MOST_CONNECTIONS)],
)
def test_connections_leave_a_reserve(descriptors: int, connections: int) -> None:
    assert connections == most_connections(descriptors)


@pytest.mark.parametrize("descriptors", [1, 64, 128, 1024, 4096, 65_536])
def test_grpc_connections_leave_half_of_the_reserve(descriptors: int) -> None:
    rest = descriptors - most_connections(descriptors) - most_grpc_connections(descriptors)

    assert rest >= (descriptors - most_connections(descriptors)) // 2 - 1
