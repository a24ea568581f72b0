"""docker/compose.yaml is valid, runs the images and settings of the cluster, and limits every service."""

import json
import re
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
import yaml

from operations.cluster.images import IMAGES, PREFIX
from operations.compose.state_folder import FOLDERS, secret_values
from product_classifier import settings_help
from tests.manifests.test_overlays import OTHER_VARIABLES, SETTINGS
from tests.support.compose_processes import REPOSITORY, Service, is_one_shot, read_compose
from tests.support.rendering import MANIFESTS, containers, pods

PROFILES = "minio,seaweedfs,monitoring,simulation"
VARIABLES = {"OWNER": "10001:10001", "STATE": "/state", "COMPOSE_PROFILES": PROFILES}
FILE = read_compose(VARIABLES)
SERVICES: dict[str, Service] = FILE["services"]
OURS = {name: one for name, one in SERVICES.items() if f"{PREFIX}/" in one["image"]}
THIRD_PARTY = {name: one for name, one in SERVICES.items() if name not in OURS}
CLUSTER = {
    name.partition("/")[2]: containers(pod)[0]
    for path in sorted((MANIFESTS / "base").glob("*/*.yaml"))
    if path.name != "kustomization.yaml"
    for name, pod in pods(tuple(yaml.safe_load_all(path.read_text(encoding="utf-8"))))
}


def test_the_file_is_valid() -> None:
    schema = resources.files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"

    jsonschema.Draft7Validator(json.loads(schema.read_text(encoding="utf-8"))).validate(FILE)


def test_without_make_compose_the_file_says_how_to_start_it() -> None:
    with pytest.raises(KeyError, match="OWNER: start it with make compose"):
        read_compose({})


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_rights_and_no_writable_root(name: str) -> None:
    service = SERVICES[name]

    assert VARIABLES["OWNER"] == service["user"]
    assert service["read_only"]
    assert ["ALL"] == service["cap_drop"]
    assert ["no-new-privileges:true"] == service["security_opt"]
    assert {"memory", "pids"} <= set(service["deploy"]["resources"]["limits"])
    assert "privileged" not in service
    assert "max-size" in service["logging"]["options"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_health_check_unless_it_ends(name: str) -> None:
    assert is_one_shot(SERVICES[name]) != ("healthcheck" in SERVICES[name])


def test_every_image_is_built_here_or_pinned() -> None:
    built = {image.reference("dev") for image in IMAGES}

    assert built == {one["image"] for one in OURS.values()}
    for name, service in THIRD_PARTY.items():
        assert re.search(r":[\w.-]*\d[\w.-]*(@sha256:[0-9a-f]{64})?$", service["image"]), name


def test_images_of_a_registry_are_used_by_its_prefix() -> None:
    found = read_compose({**VARIABLES, "REGISTRY": "registry.example.com/", "TAG": "0.1.0"})["services"]

    for name in OURS:
        assert found[name]["image"].startswith(f"registry.example.com/{PREFIX}/"), name
        assert found[name]["image"].endswith(":0.1.0"), name


def test_only_the_gateway_and_grafana_are_published() -> None:
    assert {"auth-proxy", "grafana"} == {name for name, one in SERVICES.items() if "ports" in one}
    assert all(one.startswith("127.0.0.1:") for service in SERVICES.values() for one in service.get("ports", []))
    assert FILE["networks"]["internal"]["internal"]


def test_every_secret_is_made_and_used() -> None:
    used = {one if isinstance(one, str) else one["source"] for s in SERVICES.values() for one in s.get("secrets", [])}

    assert set(secret_values()) == set(FILE["secrets"]) == used
    assert {f"/state/secrets/{name}" for name in used} == {one["file"] for one in FILE["secrets"].values()}


def test_every_mounted_folder_is_made() -> None:
    made = {Path("/state") / folder for name in FOLDERS for folder in (Path(name), *Path(name).parents[:-1])}
    for name, service in SERVICES.items():
        for mount in service.get("volumes", []):
            source = Path(mount["source"])
            relative = not source.is_absolute()
            assert (REPOSITORY / "docker" / source).is_file() if relative else source in made, f"{name}: {source}"


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting_that_differs_from_its_default(name: str) -> None:
    service = SERVICES[name]
    given = {key: str(value) for key, value in (service.get("environment") or {}).items() if value != ""}
    given |= {one["target"]: "secret" for one in service.get("secrets", []) if isinstance(one, dict)}
    if name == "mlflow":
        assert set(given) <= {one["name"] for one in CLUSTER[name]["env"]} | {"AWS_SHARED_CREDENTIALS_FILE"}
        return
    known = [one for settings in SETTINGS[name] for one in settings_help.variables(settings)]
    extra = {*OTHER_VARIABLES, *(one.names[0] for one in settings_help.COMMON)}
    assert set() == set(given) - extra - {variable for one in known for variable in one.names}
    assert set() == given.items() & {(variable, one.default) for one in known for variable in one.names}


@pytest.mark.parametrize("name", [name for name in OURS if name in CLUSTER and name != "mlflow"])
def test_a_service_has_the_settings_of_its_pods(name: str) -> None:
    """The two deployments differ in addresses and folders, not in what is set."""
    service, pod = SERVICES[name], CLUSTER[name]
    here = set(service.get("environment") or {})
    here |= {one["target"] for one in service.get("secrets", []) if isinstance(one, dict)}
    there = {one["name"] for one in pod.get("env", [])}
    folders = {"SECRETS_DIR", "TMPDIR", "POD_NAME", "AUTH_PROXY_ROOT_PATH"}
    of_releases = {"RELEASE", "FUSION_CANARY_RELEASE", "FUSION_CANARY_SHARE", "FUSION_SHADOW_RELEASE"}
    of_clusters = {"TRAINER_IMAGE", "RETRAIN_LAUNCHER", "RETRAIN_PACKAGE", "KF_PIPELINES_ENDPOINT", "PRODUCTS"}
    of_names = {"FUSION_TEXT_URL", "FUSION_IMAGE_URL"}  # by default those of a cluster

    assert set() == (here ^ there) - folders - of_releases - of_clusters - of_names


@pytest.mark.parametrize("name", [name for name in OURS if name in CLUSTER and name != "retrain-trigger"])
def test_a_service_has_the_memory_of_its_pods(name: str) -> None:
    """The trigger has more: its runs are its processes."""
    there = CLUSTER[name]["resources"]["limits"]["memory"].replace("Gi", "G").replace("Mi", "M")

    assert there == SERVICES[name]["deploy"]["resources"]["limits"]["memory"]


def test_prometheus_scrapes_services_at_their_ports() -> None:
    jobs = yaml.safe_load((REPOSITORY / "docker/prometheus.yaml").read_text(encoding="utf-8"))["scrape_configs"]
    targets = {target for job in jobs for config in job["static_configs"] for target in config["targets"]}
    known = {*SERVICES, "object-store"}

    assert {target.partition(":")[0] for target in targets} <= known
    assert {"auth-proxy:8081", "feedback-service:8082", "retrain-trigger:8083"} <= targets
