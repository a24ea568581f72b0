"""Every overlay renders, and what it renders agrees with the code: names of images, of settings, of services."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic_settings import BaseSettings

from components.shared.step_image import TRAINER
from inference.auth_proxy.settings import Settings as AuthProxy
from inference.feedback_service.settings import Settings as FeedbackService
from inference.fusion_transformer.settings import Settings as FusionTransformer
from inference.simulation.settings import Settings as Simulation
from operations.cluster.images import IMAGES, PREFIX
from operations.cluster.secrets import create_secrets
from pipelines.retrain.settings import TriggerSettings
from pipelines.settings import PipelineSettings
from product_classifier.retraining.settings import RetrainSettings
from product_classifier.store import StoreSettings
from tests.support.fake_cluster import FakeCluster
from tests.support.rendering import MANIFESTS, OVERLAYS, Object, containers, overlay, pods

REPOSITORY = MANIFESTS.parent
NOT_SERVED = {"local", "cluster", "collocated"}
"""Folders of inference/ that are commands of a person, or another way to run services, not services of a cluster."""

SETTINGS: dict[str, tuple[type[BaseSettings], ...]] = {
    "auth-proxy": (AuthProxy, StoreSettings),
    "accounts": (AuthProxy,),
    "feedback-service": (FeedbackService, StoreSettings, RetrainSettings),
    "retrain-trigger": (TriggerSettings, RetrainSettings, PipelineSettings, StoreSettings),
    "bootstrap": (PipelineSettings, StoreSettings),
    "training": (PipelineSettings, StoreSettings),
    "bucket": (StoreSettings,),
    "simulation": (Simulation, StoreSettings),
    "text-predictor": (),
    "image-predictor": (),
    "fusion-transformer": (FusionTransformer,),
}
READ_ELSEWHERE = {
    "LOG_FORMAT", "LOG_LEVEL", "TMPDIR",
    "OMP_NUM_THREADS",
    "POD_NAME",  # for subPathExpr
    "RELEASE",  # model_server/flags.py
    "TRAINER_IMAGE",  # components/shared/step_image.py
    "KF_PIPELINES_SA_TOKEN_PATH",  # kfp
}  # fmt: skip
OTHERS_IMAGES = {"quay.io/minio/minio", "kserve/storage-initializer", "ghcr.io/chrislusf/seaweedfs"}
OF_OTHERS = {"minio", "mlflow", "seaweedfs", "storage-initializer"}
"""Containers whose programs are not ours."""


COMPONENTS = sorted(path.name for path in (MANIFESTS / "components").iterdir())
IN_KIND = (MANIFESTS / "overlays/kind/kustomization.yaml").read_text(encoding="utf-8")
ADDED = [name for name in COMPONENTS if f"components/{name}" not in IN_KIND]
CASES = {name: (name, "") for name in OVERLAYS} | {f"kind with {name}": ("kind", name) for name in ADDED}


@pytest.fixture(params=CASES)
def objects(request: pytest.FixtureRequest) -> tuple[Object, ...]:
    """Every overlay, and every component on top of one: what a deployment may choose."""
    return overlay(*CASES[request.param])


def test_every_image_is_one_we_build_or_pinned(objects: tuple[Object, ...]) -> None:
    ours = {f"{PREFIX}/{image.name}" for image in IMAGES}
    for where, pod in pods(objects):
        for container in containers(pod):
            image = container["image"]
            assert re.search(r":[\w.-]+$|@sha256:[0-9a-f]{64}$", image), f"{where}: {image} has no tag"
            assert not image.endswith(":latest"), f"{where}: {image}"
            name = re.sub(r"(:[\w.-]+)?(@sha256:\w+)?$", "", image)
            assert any(name.endswith(one) for one in ours) or name in OTHERS_IMAGES, f"{where}: {image}"


def test_the_image_of_the_steps_is_one_we_build() -> None:
    assert TRAINER.rpartition(":")[0] in {f"{PREFIX}/{image.name}" for image in IMAGES}


def test_a_pipeline_compiled_in_the_cluster_names_the_image_that_is_deployed(objects: tuple[Object, ...]) -> None:
    pods_by_name = dict(pods(objects))
    deployed = pods_by_name["Job/bootstrap"]["containers"][0]["image"]

    told = [
        variable["value"]
        for pod in pods_by_name.values()
        for container in containers(pod)
        for variable in container.get("env", [])
        if variable["name"] == "TRAINER_IMAGE"
    ]
    assert [deployed] * len(told) == told
    assert told


@pytest.mark.parametrize(
    "service", sorted(path.parent.name for path in (REPOSITORY / "inference").glob("*/__main__.py"))
)
def test_every_service_has_a_folder_of_manifests_and_an_image(service: str) -> None:
    if service in NOT_SERVED:
        return
    name = service.replace("_", "-")

    assert (MANIFESTS / "base" / name / "kustomization.yaml").is_file()
    assert name in {image.name for image in IMAGES}


def test_every_variable_is_a_setting_of_its_service(objects: tuple[Object, ...]) -> None:
    maps = {one["metadata"]["name"]: one["data"] for one in objects if one["kind"] == "ConfigMap"}
    for where, pod in pods(objects):
        for container in containers(pod):
            if container["name"] in OF_OTHERS:
                continue
            known = READ_ELSEWHERE | set(_variables(SETTINGS[_service(where, container)]))
            given = {variable["name"] for variable in container.get("env", [])}
            for source in container.get("envFrom", []):
                given |= set(maps[source["configMapRef"]["name"]])
            assert set() == given - known, f"{where}: {container['name']}"


def test_what_is_said_twice_is_said_alike(objects: tuple[Object, ...]) -> None:
    """A Service's address in a variable is that of a Service that is there."""
    services = {one["metadata"]["name"] for one in objects if one["kind"] == "Service"}
    services |= {f"{one['metadata']['name']}-predictor" for one in objects if one["kind"] == "InferenceService"}
    for where, pod in pods(objects):
        for container in containers(pod):
            for variable in container.get("env", []):
                for host in re.findall(r"https?://([a-z-]+)(?=[:./]|$)", str(variable.get("value", ""))):
                    assert host in services, f"{where}: {variable['name']}={variable['value']}"


def test_whatever_a_pod_refers_to_is_there_or_made_by_a_deployment(objects: tuple[Object, ...]) -> None:
    cluster = FakeCluster()
    create_secrets(cluster, "http://object-store:9000")
    there = {(one["kind"], one["metadata"]["name"]) for one in objects}
    there |= {("Secret", name) for kind, _, name in cluster.objects if kind == "secrets"}
    for where, pod in pods(objects):
        assert set() == set(_referred(pod)) - there, where


def test_every_pod_is_confined_as_restricted_asks(objects: tuple[Object, ...]) -> None:
    for where, pod in pods(objects):
        of_pod = pod.get("securityContext", pod["containers"][0]["securityContext"])
        assert of_pod["runAsNonRoot"] is True, where
        assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}, where
        for container in containers(pod):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, where
            assert context["readOnlyRootFilesystem"] is True, where
            assert context["capabilities"] == {"drop": ["ALL"]}, where
            if container["name"] != "storage-initializer":  # runs as the user of its image
                assert context.get("runAsUser", of_pod.get("runAsUser")) == 10001, where
        volumes = {kind for volume in pod.get("volumes", []) for kind in volume if kind != "name"}
        assert "hostPath" not in volumes, where


def test_every_container_says_what_it_takes(objects: tuple[Object, ...]) -> None:
    for where, pod in pods(objects):
        for container in containers(pod):
            resources = container["resources"]
            assert {"cpu", "memory"} <= set(resources["requests"]), where
            assert "memory" in resources["limits"], where


def test_whoever_answers_is_probed_and_ends_gently(objects: tuple[Object, ...]) -> None:
    for one in objects:
        if one["kind"] not in {"Deployment", "StatefulSet", "InferenceService"}:
            continue
        ((where, pod),) = pods((one,))
        (container,) = pod["containers"]
        assert {"readinessProbe", "livenessProbe", "startupProbe"} <= set(container), where


def test_the_last_words_of_a_container_are_kept_in_its_status(objects: tuple[Object, ...]) -> None:
    """A promotion that fails quotes them, and so does `kubectl describe`."""
    for where, pod in pods(objects):
        for container in containers(pod):
            if container["name"] not in OF_OTHERS:
                assert container["terminationMessagePolicy"] == "FallbackToLogsOnError", f"{where}: {container['name']}"


def test_whoever_has_replicas_keeps_one_and_says_so(objects: tuple[Object, ...]) -> None:
    budgets = {one["metadata"]["name"] for one in objects if one["kind"] == "PodDisruptionBudget"}
    several = {
        one["metadata"]["name"]
        for one in objects
        if one.get("spec", {}).get("replicas", 0) > 1 or one["kind"] == "InferenceService"
    }

    assert several <= budgets
    for one in objects:
        if one["metadata"]["name"] in several and one["kind"] in {"StatefulSet", "Deployment", "InferenceService"}:
            ((_, pod),) = pods((one,))
            assert "preStop" in pod["containers"][0]["lifecycle"], one["metadata"]["name"]
            assert pod.get("topologySpreadConstraints") or pod.get("affinity"), one["metadata"]["name"]


def test_an_inference_service_is_local_standard_and_leaves_its_release_to_promotion(
    objects: tuple[Object, ...],
) -> None:
    services = [one for one in objects if one["kind"] == "InferenceService"]

    assert {"text-predictor", "image-predictor", "fusion-transformer"} == {one["metadata"]["name"] for one in services}
    for one in services:
        assert one["metadata"]["labels"]["networking.kserve.io/visibility"] == "cluster-local"
        assert one["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Standard"
        assert set() == {"storageUris", "annotations", "model"} & set(one["spec"]["predictor"])
        assert "STORAGE_URI" not in str(one)


def test_only_the_runner_of_pipelines_may_change_what_is_served(objects: tuple[Object, ...]) -> None:
    roles = {
        one["metadata"]["name"]
        for one in objects
        if one["kind"] in {"Role", "ClusterRole"}
        and any("serving.kserve.io" in rule["apiGroups"] for rule in one["rules"])
    }
    bound = [
        (subject["name"], subject["namespace"])
        for one in objects
        if one["kind"] == "RoleBinding" and one["roleRef"]["name"] in roles
        for subject in one["subjects"]
    ]

    assert {"promoter"} == roles
    assert [("pipeline-runner", "product-classifier"), ("pipeline-runner", "kubeflow")] == sorted(bound, reverse=True)
    assert not [one for one in objects if one["kind"].startswith("ClusterRole")]


def test_everything_is_labelled_and_in_the_namespace(objects: tuple[Object, ...]) -> None:
    for one in objects:
        assert one["metadata"]["labels"]["app.kubernetes.io/part-of"] == "product-classifier"
        if one["kind"] != "Namespace":
            assert one["metadata"]["namespace"] == "product-classifier"


def test_the_namespace_enforces_restricted(objects: tuple[Object, ...]) -> None:
    (namespace,) = [one for one in objects if one["kind"] == "Namespace"]

    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def files() -> Iterator[Path]:
    yield from MANIFESTS.rglob("*.yaml")


def test_no_secret_and_no_moving_tag_is_committed() -> None:
    for path in files():
        text = path.read_text(encoding="utf-8")
        kinds = [one.get("kind") for one in yaml.safe_load_all(text) if isinstance(one, dict)]
        assert "Secret" not in kinds, path
        assert ":latest" not in text, path


def test_images_are_named_without_a_tag_and_resolved_once() -> None:
    for path in (*(MANIFESTS / "base").rglob("*.yaml"), *(MANIFESTS / "components").rglob("*.yaml")):
        for image in re.findall(r"^\s*(?:- )?image: (\S+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            assert ":" not in image, f"{path}: {image}"


def _service(where: str, container: Object) -> str:
    return where.partition("/")[2] if container["name"] == "kserve-container" else str(container["name"])


def _referred(pod: Object) -> Iterator[tuple[str, str]]:
    if "serviceAccountName" in pod:
        yield "ServiceAccount", pod["serviceAccountName"]
    if "storageContainerName" in pod:
        yield "ClusterStorageContainer", pod["storageContainerName"]
    for volume in pod.get("volumes", []):
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"]
    for container in containers(pod):
        for source in container.get("envFrom", []):
            yield "ConfigMap", source["configMapRef"]["name"]
        for variable in container.get("env", []):
            source = variable.get("valueFrom", {})
            if "secretKeyRef" in source:
                yield "Secret", source["secretKeyRef"]["name"]
            if "configMapKeyRef" in source:
                yield "ConfigMap", source["configMapKeyRef"]["name"]


def _variables(settings: tuple[type[BaseSettings], ...]) -> Iterator[str]:
    for one in settings:
        prefix = one.model_config.get("env_prefix", "")
        for name, field in one.model_fields.items():
            alias = field.validation_alias
            if alias is None:
                yield f"{prefix}{name}".upper()
            elif isinstance(alias, str):
                yield alias
            else:
                yield from (str(choice) for choice in alias.choices)
