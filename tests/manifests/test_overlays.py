"""Tests that every overlay renders, and that images, settings, ports and Services agree with the code."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from components.shared.step_image import TRAINER
from inference.auth_proxy.settings import Settings as AuthProxy
from inference.compat.draining import DRAIN_S
from inference.feedback_service.settings import Settings as FeedbackService
from inference.fusion_transformer.settings import Settings as FusionTransformer
from inference.model_server.flags import parse_flags
from inference.simulation.settings import Settings as Simulation
from operations.cluster.deploy import referenced_secrets
from operations.cluster.images import IMAGES, PREFIX
from operations.cluster.secrets import create_secrets
from pipelines.retrain.settings import TriggerSettings
from pipelines.settings import MonitorSettings, PipelineSettings
from product_classifier import settings_help
from product_classifier.limits import MIB
from product_classifier.model_names import MODELS
from product_classifier.retraining.settings import RetrainSettings
from product_classifier.store import StoreSettings
from tests.support.fake_cluster import FakeCluster
from tests.support.rendering import MANIFESTS, OVERLAYS, Object, containers, overlay, pods

REPOSITORY = MANIFESTS.parent
NOT_DEPLOYED = {"collocated"}
"""Services that are not deployed to a cluster."""

SETTINGS: dict[str, tuple[type[BaseSettings], ...]] = {
    "auth-proxy": (AuthProxy, StoreSettings),
    "feedback-service": (FeedbackService, StoreSettings, RetrainSettings),
    "retrain-trigger": (TriggerSettings, RetrainSettings, PipelineSettings, StoreSettings),
    "bootstrap": (PipelineSettings, StoreSettings),
    "monitoring": (MonitorSettings, PipelineSettings, StoreSettings),
    "training": (PipelineSettings, StoreSettings),
    "bucket": (StoreSettings,),
    "simulation": (Simulation, StoreSettings),
    "text-predictor": (),
    "image-predictor": (),
    "fusion-transformer": (FusionTransformer,),
}
OTHER_VARIABLES = {
    "LOG_FORMAT", "LOG_LEVEL", "TMPDIR",
    "OMP_NUM_THREADS",
    "POD_NAME",  # for subPathExpr
    "RELEASE",  # model_server/flags.py
    "TRAINER_IMAGE",  # components/shared/step_image.py
}  # fmt: skip
THIRD_PARTY_IMAGES = {
    "quay.io/minio/minio",
    "kserve/storage-initializer",
    "ghcr.io/chrislusf/seaweedfs",
    "docker.io/versity/versitygw",
}
THIRD_PARTY_CONTAINERS = {"minio", "mlflow", "seaweedfs", "storage-initializer", "versitygw"}
"""Containers that run programs of other projects."""


OPERATORS_SECRETS = {"mlflow-database", "simulation-token"}
"""Secrets whose values only an operator knows: a database and a token of an issuer that exist."""

NAMESPACES_OF_RUNS = ("kubeflow", "kubeflow-user-example-com")

STORE_CONFIG = ("ConfigMap", "object-store")
COMPONENTS = sorted(path.name for path in (MANIFESTS / "components").iterdir())
KIND_OVERLAY = (MANIFESTS / "overlays/kind/kustomization.yaml").read_text(encoding="utf-8")
OPTIONAL = [name for name in COMPONENTS if f"components/{name}" not in KIND_OVERLAY]
CASES = {name: (name, "") for name in OVERLAYS} | {f"kind with {name}": ("kind", name) for name in OPTIONAL}


@pytest.fixture(params=CASES)
def objects(request: pytest.FixtureRequest) -> tuple[Object, ...]:
    """The objects of every overlay, and of the kind overlay with each optional component."""
    return overlay(*CASES[request.param])


def test_every_image_is_built_here_or_pinned(objects: tuple[Object, ...]) -> None:
    ours = {f"{PREFIX}/{image.name}" for image in IMAGES}
    for where, pod in pods(objects):
        for container in containers(pod):
            image = container["image"]
            assert re.search(r":[\w.-]+$|@sha256:[0-9a-f]{64}$", image), f"{where}: {image} has no tag"
            assert not image.endswith(":latest"), f"{where}: {image}"
            name = re.sub(r"(:[\w.-]+)?(@sha256:\w+)?$", "", image)
            assert any(name.endswith(one) for one in ours) or name in THIRD_PARTY_IMAGES, f"{where}: {image}"


def test_the_image_of_the_steps_is_built_here() -> None:
    assert TRAINER.rpartition(":")[0] in {f"{PREFIX}/{image.name}" for image in IMAGES}


def test_a_pipeline_compiled_in_the_cluster_uses_the_deployed_image(objects: tuple[Object, ...]) -> None:
    pods_by_name = dict(pods(objects))
    deployed = pods_by_name["Job/bootstrap"]["containers"][0]["image"]

    images = [
        variable["value"]
        for pod in pods_by_name.values()
        for container in containers(pod)
        for variable in container.get("env", [])
        if variable["name"] == "TRAINER_IMAGE"
    ]
    assert [deployed] * len(images) == images
    assert images


@pytest.mark.parametrize(
    "service", sorted(path.parent.name for path in (REPOSITORY / "inference").glob("*/__main__.py"))
)
def test_every_service_has_manifests_and_an_image(service: str) -> None:
    if service in NOT_DEPLOYED:
        return
    name = service.replace("_", "-")

    assert (MANIFESTS / "base" / name / "kustomization.yaml").is_file()
    assert name in {image.name for image in IMAGES}


def test_every_variable_is_a_setting_of_its_service(objects: tuple[Object, ...]) -> None:
    maps = {one["metadata"]["name"]: one["data"] for one in objects if one["kind"] == "ConfigMap"}
    for where, pod in pods(objects):
        for container in containers(pod):
            if container["name"] in THIRD_PARTY_CONTAINERS:
                continue
            known = OTHER_VARIABLES | set(_variables(SETTINGS[_service(where, container)]))
            given = {variable["name"] for variable in container.get("env", [])}
            for source in container.get("envFrom", []):
                given |= set(maps[source["configMapRef"]["name"]])
            assert set() == given - known, f"{where}: {container['name']}"


def test_no_variable_repeats_the_default_of_its_setting(objects: tuple[Object, ...]) -> None:
    """A default is defined once, in the settings class; a manifest contains only what differs."""
    maps = {one["metadata"]["name"]: one["data"] for one in objects if one["kind"] == "ConfigMap"}
    for where, pod in pods(objects):
        for container in containers(pod):
            if container["name"] in THIRD_PARTY_CONTAINERS:
                continue
            defaults = {
                name: variable.default
                for settings in SETTINGS[_service(where, container)]
                for variable in settings_help.variables(settings)
                for name in variable.names
            }
            values = {one["name"]: str(one["value"]) for one in container.get("env", []) if "value" in one}
            for source in container.get("envFrom", []):
                values |= maps[source["configMapRef"]["name"]]
            assert set() == values.items() & defaults.items(), f"{where}: {container['name']}"


def test_jobs_take_the_numbers_of_the_steps_from_params_yaml(objects: tuple[Object, ...]) -> None:
    for where, pod in pods(objects):
        for container in containers(pod):
            assert "--set" not in container.get("args", []), where


def test_a_training_job_may_run_as_long_as_the_trigger_allows(objects: tuple[Object, ...]) -> None:
    (training,) = [one for one in objects if (one["kind"], one["metadata"]["name"]) == ("CronJob", "training")]

    assert RetrainSettings().run_timeout_s == training["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"]


@pytest.mark.parametrize(
    ("service", "ports"),
    [
        ("auth-proxy", {"http": AuthProxy.model_fields["port"], "metrics": AuthProxy.model_fields["metrics_port"]}),
        ("feedback-service", {"http": FeedbackService.model_fields["port"]}),
        ("retrain-trigger", {"http": TriggerSettings.model_fields["port"]}),
    ],
)
def test_the_ports_of_a_container_are_the_defaults_of_its_settings(
    objects: tuple[Object, ...], service: str, ports: dict[str, FieldInfo]
) -> None:
    (container,) = next(pod for where, pod in pods(objects) if where.endswith(f"/{service}"))["containers"]

    assert {name: field.default for name, field in ports.items()} == {
        port["name"]: port["containerPort"] for port in container["ports"]
    }


def test_the_token_of_kubeflow_pipelines_is_mounted_where_the_trigger_reads_it(objects: tuple[Object, ...]) -> None:
    (container,) = next(pod for where, pod in pods(objects) if where == "Deployment/retrain-trigger")["containers"]
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}

    assert str(PipelineSettings.model_fields["pipelines_token"].default) == f"{mounted['pipelines-token']}/token"


def test_every_address_is_that_of_a_service(objects: tuple[Object, ...]) -> None:
    services = {one["metadata"]["name"] for one in objects if one["kind"] == "Service"}
    services |= {f"{one['metadata']['name']}-predictor" for one in objects if one["kind"] == "InferenceService"}
    for where, pod in pods(objects):
        for container in containers(pod):
            for variable in container.get("env", []):
                for host in re.findall(r"https?://([a-z-]+)(?=[:./]|$)", str(variable.get("value", ""))):
                    assert host in services, f"{where}: {variable['name']}={variable['value']}"


def test_every_object_a_pod_refers_to_exists_or_is_created_by_make_deploy(objects: tuple[Object, ...]) -> None:
    cluster = FakeCluster()
    create_secrets(cluster, "http://object-store:9000", referenced_secrets(objects))
    existing = {(one["kind"], one["metadata"]["name"]) for one in objects}
    existing |= {("Secret", name) for name in OPERATORS_SECRETS}
    existing |= {("Secret", name) for kind, _, name in cluster.objects if kind == "secrets"}
    for where, pod in pods(objects):
        assert set() == set(_references(pod)) - existing, where


def test_every_pod_satisfies_pod_security_restricted(objects: tuple[Object, ...]) -> None:
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


def test_every_container_has_requests_and_limits_of_memory_and_disk(objects: tuple[Object, ...]) -> None:
    for where, pod in pods(objects):
        for container in containers(pod):
            resources = container["resources"]
            assert {"cpu", "memory", "ephemeral-storage"} <= set(resources["requests"]), where
            assert {"memory", "ephemeral-storage"} <= set(resources["limits"]), where


def test_the_disk_of_a_pod_holds_its_temporary_volumes(objects: tuple[Object, ...]) -> None:
    """Volumes without a medium count against the limits of the containers; a pod above them is evicted."""
    for where, pod in pods(objects):
        limit = sum(_mebibytes(one["resources"]["limits"]["ephemeral-storage"]) for one in pod["containers"])
        volumes = sum(_mebibytes(one["emptyDir"]["sizeLimit"]) for one in pod.get("volumes", []) if "emptyDir" in one)

        assert volumes < limit, where


def test_annotations_for_prometheus_name_a_port_that_listens(objects: tuple[Object, ...]) -> None:
    found = []
    for one in objects:
        template = one.get("spec", {}).get("template", {}).get("metadata", {})
        annotations = (one["metadata"] if one["kind"] == "InferenceService" else template).get("annotations", {})
        assert "serving.kserve.io/enable-prometheus-scraping" not in annotations  # KServe would name port 9091
        if "prometheus.io/scrape" in annotations:
            ((where, pod),) = pods((one,))
            ports = {str(port["containerPort"]) for container in pod["containers"] for port in container["ports"]}
            assert annotations["prometheus.io/port"] in ports, where
            found.append(one["metadata"]["name"])

    assert {"text-predictor", "image-predictor", "fusion-transformer", "auth-proxy"} <= set(found)


def test_finished_jobs_of_a_deployment_do_not_refuse_the_next_one(objects: tuple[Object, ...]) -> None:
    """The template of a Job is immutable: one that stays refuses `apply` with another image."""
    jobs = [one for one in objects if one["kind"] == "Job"]

    assert jobs
    assert [300] * len(jobs) == [one["spec"]["ttlSecondsAfterFinished"] for one in jobs]


def test_the_pods_of_the_pipeline_find_the_address_of_the_store_in_their_namespace() -> None:
    for name, component, namespaces in (
        ("kind", "", {"product-classifier", "kubeflow"}),
        ("kind", "seaweedfs", {"product-classifier", "kubeflow"}),
        ("production", "", {"product-classifier", "kubeflow"}),
        ("kind", "without-kubeflow", {"product-classifier"}),
    ):
        found = [one for one in overlay(name, component) if (one["kind"], one["metadata"]["name"]) == STORE_CONFIG]

        assert namespaces == {one["metadata"]["namespace"] for one in found}, (name, component)
        assert 1 == len({one["data"]["endpoint"] for one in found})


def test_every_server_has_probes(objects: tuple[Object, ...]) -> None:
    for one in objects:
        if one["kind"] not in {"Deployment", "StatefulSet", "InferenceService"}:
            continue
        ((where, pod),) = pods((one,))
        (container,) = pod["containers"]
        assert {"readinessProbe", "livenessProbe", "startupProbe"} <= set(container), where
        if container["name"] not in THIRD_PARTY_CONTAINERS:
            liveness = container["livenessProbe"]
            hung_s = liveness["periodSeconds"] * liveness.get("failureThreshold", 3) + liveness.get("timeoutSeconds", 1)
            assert liveness["httpGet"]["path"] in {"/healthz", "/v2/health/live"}, where
            assert hung_s <= 70, f"{where}: a server that hangs is restarted only after {hung_s} s"


@pytest.mark.parametrize(
    ("name", "in_progress_s"),
    [
        ("auth-proxy", AuthProxy.model_fields["shutdown_s"].default),
        ("feedback-service", FeedbackService.model_fields["shutdown_s"].default),
        *((model, parse_flags(model, []).grace_s) for model in MODELS),
    ],
)
def test_a_pod_has_time_to_leave_its_service_drain_and_complete_requests(
    objects: tuple[Object, ...], name: str, in_progress_s: float
) -> None:
    kinds = {"StatefulSet", "InferenceService"}
    [server] = [one for one in objects if one["kind"] in kinds and one["metadata"]["name"] == name]
    [(_, pod)] = pods((server,))
    leaving_s = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert leaving_s + DRAIN_S + in_progress_s + 5 <= pod["terminationGracePeriodSeconds"]


def test_the_end_of_a_containers_log_is_its_termination_message(objects: tuple[Object, ...]) -> None:
    """A failed promotion quotes it, and `kubectl describe` prints it."""
    for where, pod in pods(objects):
        for container in containers(pod):
            if container["name"] not in THIRD_PARTY_CONTAINERS:
                assert container["terminationMessagePolicy"] == "FallbackToLogsOnError", f"{where}: {container['name']}"


def test_replicated_workloads_have_a_disruption_budget_and_spread(objects: tuple[Object, ...]) -> None:
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


def test_an_inference_service_is_cluster_local_standard_and_names_no_release(
    objects: tuple[Object, ...],
) -> None:
    services = [one for one in objects if one["kind"] == "InferenceService"]

    assert {"text-predictor", "image-predictor", "fusion-transformer"} == {one["metadata"]["name"] for one in services}
    for one in services:
        assert one["metadata"]["labels"]["networking.kserve.io/visibility"] == "cluster-local"
        assert one["metadata"]["annotations"]["serving.kserve.io/deploymentMode"] == "Standard"
        assert set() == {"storageUris", "annotations", "model"} & set(one["spec"]["predictor"])
        assert "STORAGE_URI" not in str(one)


CORRECTIONS = 1_000_000
INDEX_BYTES = 1_000
"""Bytes of the index per correction, see the setting `state_dir` of the feedback service."""


def test_volumes_hold_the_journal_and_the_index_of_a_million_corrections_twice(objects: tuple[Object, ...]) -> None:
    index = 2 * CORRECTIONS * INDEX_BYTES  # while it is built again
    journal = FeedbackService.model_fields["journal_mb"].default * MIB
    named = {(one["kind"], one["metadata"]["name"]): one["spec"] for one in objects if "spec" in one}
    (claim,) = named["StatefulSet", "feedback-service"]["volumeClaimTemplates"]
    trigger = named["Deployment", "retrain-trigger"]["template"]["spec"]
    (tmp,) = [volume["emptyDir"]["sizeLimit"] for volume in trigger["volumes"] if volume["name"] == "tmp"]
    limit = trigger["containers"][0]["resources"]["limits"]["ephemeral-storage"]

    assert _bytes(claim["spec"]["resources"]["requests"]["storage"]) >= journal + index
    assert _bytes(limit) > _bytes(tmp) >= index


def _bytes(quantity: str) -> int:
    return int(quantity.removesuffix("Gi")) << 30


def test_only_pipeline_runner_may_change_inference_services(objects: tuple[Object, ...]) -> None:
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
    (here, there) = sorted(bound, key=lambda one: one[1] != "product-classifier")
    assert ("pipeline-runner", "product-classifier") == here
    assert there in {("pipeline-runner", "kubeflow"), ("default-editor", "kubeflow-user-example-com")}
    assert not [one for one in objects if one["kind"].startswith("ClusterRole")]


def test_every_object_is_labeled_and_in_the_namespace(objects: tuple[Object, ...]) -> None:
    for one in objects:
        assert one["metadata"]["labels"]["app.kubernetes.io/part-of"] == "product-classifier"
        if one["kind"] not in {"Namespace", "PriorityClass"}:
            shared = (one["kind"], one["metadata"]["name"]) in {
                ("ConfigMap", "object-store"),
                ("Role", "run-watcher"),
                ("RoleBinding", "run-watcher"),
                ("RoleBinding", "runs"),
            }
            assert one["metadata"]["namespace"] in ("product-classifier", *(NAMESPACES_OF_RUNS if shared else []))


def test_the_namespace_enforces_restricted(objects: tuple[Object, ...]) -> None:
    (namespace,) = [one for one in objects if one["kind"] == "Namespace"]

    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def _mebibytes(quantity: str) -> int:
    return int(quantity[:-2]) * {"Mi": 1, "Gi": 1024}[quantity[-2:]]


def files() -> Iterator[Path]:
    yield from MANIFESTS.rglob("*.yaml")


def test_no_secret_and_no_latest_tag_is_committed() -> None:
    for path in files():
        text = path.read_text(encoding="utf-8")
        kinds = [one.get("kind") for one in yaml.safe_load_all(text) if isinstance(one, dict)]
        assert "Secret" not in kinds, path
        assert ":latest" not in text, path


def test_images_have_a_tag_in_overlays_only() -> None:
    for path in (*(MANIFESTS / "base").rglob("*.yaml"), *(MANIFESTS / "components").rglob("*.yaml")):
        for image in re.findall(r"^\s*(?:- )?image: (\S+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            assert ":" not in image, f"{path}: {image}"


def _service(where: str, container: Object) -> str:
    return where.partition("/")[2] if container["name"] == "kserve-container" else str(container["name"])


def _references(pod: Object) -> Iterator[tuple[str, str]]:
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
