import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from pipelines.kubeflow.submit import connect
from tests.e2e import cluster
from tests.e2e.cluster import Product, get, until
from tests.e2e.kubeflow import NAMESPACE, SERVICE, answers, lasting, trigger_environment


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
    with lasting() as url:
        until(lambda: answers(url), 60, f"an answer of {SERVICE}")
        yield url


@pytest.fixture(scope="session")
def client(api: str) -> Any:
    return connect(api, "kubeflow")


@pytest.fixture(scope="session")
def image() -> str:
    """The image a step runs in: the one named by the environment, else the one the deployed trigger knows."""
    return os.environ.get("TRAINER_IMAGE") or trigger_environment()["TRAINER_IMAGE"]
