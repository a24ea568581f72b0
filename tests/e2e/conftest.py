from collections.abc import Iterator

import httpx
import pytest

from tests.e2e import cluster
from tests.e2e.cluster import Product


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
