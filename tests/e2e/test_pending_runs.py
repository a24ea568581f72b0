"""A run whose pod does not start says why, as Kubernetes reports it, and continues once it can."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e import cluster
from tests.e2e.cluster import Product, get, kubectl, until
from tests.e2e.kubeflow import trigger_environment

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]
TEMPLATE = "cronjob/training"
RUN_S = 900


@pytest.fixture
def product() -> Iterator[Product]:
    """The product with a new port forward: earlier tests restart the gateway, which ends the shared one."""
    with cluster.product() as product:
        yield product


@pytest.fixture
def template() -> Iterator[dict[str, Any]]:
    """The container of the CronJob from which runs are made; restored after the test."""
    if trigger_environment().get("RETRAIN_LAUNCHER") != "job":
        pytest.skip("runs are started on Kubeflow Pipelines")
    (container,) = get(TEMPLATE)["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    yield container
    change(container["name"], image=container["image"], resources=container["resources"])


def change(name: str, **fields: Any) -> None:
    pod = {"spec": {"containers": [{"name": name, **fields}]}}
    kubectl("patch", TEMPLATE, f"--patch={json.dumps({'spec': {'jobTemplate': {'spec': {'template': pod}}}})}")


def test_a_run_says_why_its_pod_does_not_start_until_it_does(product: Product, template: dict[str, Any]) -> None:
    with product.client("admin") as admin:
        until(lambda: not active(admin), RUN_S, "the end of an earlier run")
        change(template["name"], resources={"requests": {"memory": "900Gi"}, "limits": {"memory": "900Gi"}})
        run_id = admin.post("/retrain").raise_for_status().json()["run_id"]
        until(lambda: "Insufficient memory" in (view(admin, run_id)["reason"] or ""), 90, "the reason")
        change(template["name"], resources=template["resources"], image="product-classifier/trainer:never-built")
        kubectl("delete", "job", run_id)
        until(lambda: "never-built" in (view(admin, run_id)["reason"] or ""), 90, "the reason")
        change(template["name"], image=template["image"])
        kubectl("delete", "job", run_id)
        until(lambda: view(admin, run_id)["state"] in {"succeeded", "failed"}, RUN_S, "the end of the run")
        run = view(admin, run_id)

    assert "succeeded" == run["state"], run


def view(admin: httpx.Client, run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = admin.get(f"/retrain/{run_id}").raise_for_status().json()
    return found


def active(admin: httpx.Client) -> bool:
    return any(run["state"] in {"waiting", "running"} for run in admin.get("/retrain").json()["runs"])
