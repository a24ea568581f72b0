"""Fixtures of the cluster tests."""

import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from pipelines.kubeflow.submit import connect
from tests.e2e import cluster
from tests.e2e.cluster import Product, get, until
from tests.e2e.kubeflow import NAMESPACE, SERVICE, forwarded_api, is_reachable, trigger_environment


@pytest.fixture(scope="session")
def product() -> Iterator[Product]:
    with cluster.product() as product:
        yield product


@pytest.fixture(scope="session")
def user(product: Product) -> Iterator[httpx.Client]:
    with product.client("user") as client:
        yield client


@pytest.fixture(scope="session")
def admin(product: Product) -> Iterator[httpx.Client]:
    with product.client("admin") as client:
        yield client


@pytest.fixture(scope="session")
def api() -> Iterator[str]:
    if not get(SERVICE, namespace=NAMESPACE):
        pytest.skip("there is no service/ml-pipeline in namespace kubeflow")
    with forwarded_api() as url:
        until(lambda: is_reachable(url), 60, f"a response of {SERVICE}")
        yield url


@pytest.fixture(scope="session")
def client(api: str) -> Any:
    return connect(api, "kubeflow")


@pytest.fixture(scope="session")
def image() -> str:
    """The image of the steps: TRAINER_IMAGE of the environment, else that of the deployed trigger."""
    return os.environ.get("TRAINER_IMAGE") or trigger_environment()["TRAINER_IMAGE"]
