"""The overlays of clouds are differences, and agree with the modules that make their resources."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml

from tests.support.rendering import MANIFESTS, Object, containers, overlay, pods

CLOUDS = ("aks", "eks", "gke")
MODULES = MANIFESTS / "clouds"
KEYS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


def module(cloud: str) -> dict[str, list[Any]]:
    """Return the blocks of a module by type."""
    blocks: dict[str, list[Any]] = {}
    for path in sorted((MODULES / cloud).glob("*.tf")):
        with path.open(encoding="utf-8") as file:
            for kind, found in hcl2.load(file).items():
                blocks.setdefault(kind, []).extend(found if isinstance(found, list) else [found])
    return blocks


def of_kind(objects: tuple[Object, ...], kind: str) -> dict[str, Object]:
    return {one["metadata"]["name"]: one for one in objects if one["kind"] == kind}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_module_is_valid_hcl_with_described_variables_and_outputs(cloud: str) -> None:
    blocks = module(cloud)
    text = "".join(path.read_text(encoding="utf-8") for path in (MODULES / cloud).glob("*.tf"))

    declared = {name.strip('"') for one in blocks["variable"] for name in one}
    assert declared == set(re.findall(r"\bvar\.(\w+)", text))
    for one in (*blocks["variable"], *blocks["output"]):
        for name, body in one.items():
            assert body.get("description"), name
            if re.search("password|secret|database", name):
                assert body["sensitive"], name


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_module_is_formatted(cloud: str) -> None:
    program = shutil.which("tofu") or shutil.which("terraform")
    if program is None:
        pytest.skip("neither tofu nor terraform is installed")

    done = subprocess.run([program, "fmt", "-check", MODULES / cloud], capture_output=True, text=True, check=False)
    assert 0 == done.returncode, done.stdout


@pytest.mark.parametrize("cloud", CLOUDS)
def test_an_overlay_has_differences_only(cloud: str) -> None:
    lines = [
        line
        for path in (MANIFESTS / "overlays" / cloud).glob("*.yaml")
        for line in path.read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    ]

    assert 70 > len(lines)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_training_finds_the_pool_that_the_module_makes(cloud: str) -> None:
    pod = of_kind(overlay(cloud), "CronJob")["training"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    text = (MODULES / cloud / "main.tf").read_text(encoding="utf-8")

    assert {"product-classifier/pool": "training"} == pod["nodeSelector"]
    assert '{ "product-classifier/pool" = "training" }' in text
    assert "product-classifier/pool" in {one["key"] for one in pod["tolerations"]}
    assert 1 == pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"]


@pytest.mark.parametrize("cloud", CLOUDS)
def test_mlflow_uses_a_database_and_no_volume(cloud: str) -> None:
    mlflow = of_kind(overlay(cloud), "Deployment")["mlflow"]["spec"]["template"]["spec"]
    variables = {one["name"]: one for one in mlflow["containers"][0]["env"]}

    assert {"name": "mlflow-database", "key": "uri"} == variables["MLFLOW_BACKEND_STORE_URI"]["valueFrom"][
        "secretKeyRef"
    ]
    assert "value" not in variables["MLFLOW_BACKEND_STORE_URI"]
    assert ["tmp"] == [one["name"] for one in mlflow["volumes"]]
    assert "mlflow" not in of_kind(overlay(cloud), "PersistentVolumeClaim")


@pytest.mark.parametrize("cloud", CLOUDS)
def test_serving_precedes_training_and_spreads_over_zones(cloud: str) -> None:
    classes = of_kind(overlay(cloud), "PriorityClass")
    for where, pod in pods(overlay(cloud)):
        if where.startswith("ClusterStorageContainer") or where == "Job/bucket":
            continue
        training = where.startswith(("CronJob", "Job"))
        assert f"product-classifier-{'training' if training else 'serving'}" == pod["priorityClassName"], where
        if where.startswith("InferenceService"):
            keys = [one["topologyKey"] for one in pod["topologySpreadConstraints"]]
            assert "topology.kubernetes.io/zone" in keys, where
    assert classes["product-classifier-serving"]["value"] > 0 > classes["product-classifier-training"]["value"]


@pytest.mark.parametrize("cloud", CLOUDS)
def test_the_route_ends_tls_with_a_certificate_of_cert_manager(cloud: str) -> None:
    gateway = of_kind(overlay(cloud), "Gateway")["product-classifier"]
    issuer = of_kind(overlay(cloud), "Issuer")[gateway["metadata"]["annotations"]["cert-manager.io/issuer"]]
    route = of_kind(overlay(cloud), "HTTPRoute")["product-classifier"]["spec"]

    assert {"https"} == {one["sectionName"] for one in route["parentRefs"]}
    assert "HTTP" in {one["protocol"] for one in gateway["spec"]["listeners"]}
    assert issuer["spec"]["acme"]["solvers"][0]["http01"]["gatewayHTTPRoute"]


def test_pods_on_eks_have_roles_and_no_keys() -> None:
    objects = overlay("eks")
    accounts = of_kind(objects, "ServiceAccount")
    for where, pod in pods(objects):
        for container in containers(pod):
            given = {one["name"] for one in container.get("env", [])}
            assert set() == KEYS & given, where
            if {"S3_ENDPOINT", "MLFLOW_S3_ENDPOINT_URL"} & given:
                annotations = accounts[pod["serviceAccountName"]]["metadata"]["annotations"]
                assert annotations["eks.amazonaws.com/role-arn"].startswith("arn:aws:iam::"), where
    trusted = next(
        one["service_accounts"]["default"]
        for one in map(_unquoted, module("eks")["variable"])
        if "service_accounts" in one
    )
    annotated = {
        f"product-classifier:{name}" for name, one in accounts.items() if one["metadata"].get("annotations", {})
    }
    assert annotated <= {one.strip('"') for one in trusted}


def test_the_gateway_of_aks_has_an_identity_and_no_key() -> None:
    pod = of_kind(overlay("aks"), "StatefulSet")["object-store"]["spec"]["template"]
    account = of_kind(overlay("aks"), "ServiceAccount")[pod["spec"]["serviceAccountName"]]

    assert "true" == pod["metadata"]["labels"]["azure.workload.identity/use"]
    assert "azure.workload.identity/client-id" in account["metadata"]["annotations"]
    assert "AZ_ACCESS_KEY" not in {one["name"] for one in pod["spec"]["containers"][0]["env"]}


@pytest.mark.parametrize("cloud", ["eks", "gke"])
def test_models_of_the_bucket_are_downloaded_by_the_products_initializer(cloud: str) -> None:
    objects = overlay(cloud)
    store = of_kind(objects, "ConfigMap")["object-store"]["data"]["store"]
    container = of_kind(objects, "ClusterStorageContainer")["product-classifier"]

    assert [{"prefix": store}] == container["spec"]["supportedUriFormats"]
    assert "object-store" not in of_kind(objects, "StatefulSet")


def test_cloud_init_starts_make_compose() -> None:
    text = (MODULES / "vm/cloud-init.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    (unit,) = content["write_files"]

    assert text.startswith("#cloud-config\n")
    assert "ExecStart=/usr/bin/make compose" in unit["content"]
    assert Path(unit["path"]).name in content["runcmd"][-1]


def _unquoted(block: dict[str, Any]) -> dict[str, Any]:
    return {name.strip('"'): body for name, body in block.items()}
