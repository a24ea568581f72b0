"""Apply an overlay to the current context and wait until everything is ready.

The manifests do not need this command: `kubectl apply -k manifests/overlays/<name>` creates the same objects once the
Secrets exist. A repeated deployment changes only what differs. An upgrade of a deployment that serves applies its
workloads in an order: each service after those it calls, the gateway last. A build that does not start stops the
upgrade before the services that depend on it, and few pods start at the same time.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

import yaml

from operations.cluster import object_status
from operations.cluster.command_runner import CommandFailed, CommandRunner
from operations.cluster.image_names import copy_name, images_of, without_tag
from operations.cluster.images import IMAGES, PREFIX
from operations.cluster.object_status import Object
from operations.cluster.secrets import KUBEFLOW, NAMESPACE, STORE, create_secrets, share_keys
from operations.cluster.settings import Settings
from operations.cluster.stuck_pods import delete_stuck_pods
from product_classifier.model_names import FUSION, IMAGE, TEXT

MANIFESTS = Path("manifests")
RENDERED = Path("build/deploy")
WITHOUT_KUBEFLOW = MANIFESTS / "components/without-kubeflow"
GATEWAY = "auth-proxy"
STAGES = ((TEXT, IMAGE), (FUSION,), ("feedback-service",))
"""Workloads in the order of an upgrade: after all other objects, and before the gateway."""
WORKLOADS = frozenset({"InferenceService", "StatefulSet"})


def deploy(runner: CommandRunner, settings: Settings) -> None:
    """Check the platform, create the Secrets, apply the overlay and wait."""
    object_status.wait_for_platform(runner)
    has_kubeflow = runner.get("service", "ml-pipeline", "--namespace", KUBEFLOW) is not None
    runner.report("pipeline runs are started " + ("on Kubeflow Pipelines" if has_kubeflow else "as Jobs"))
    mirrored = images_of_overlay(runner, settings) if settings.registry else frozenset()
    folder = write_kustomization(settings, with_kubeflow=has_kubeflow, mirrored=mirrored)
    runner.kubectl("apply", "-f", str(MANIFESTS / "base/namespace.yaml"))
    objects = list(yaml.safe_load_all(runner.kubectl("kustomize", str(folder))))
    endpoint = next(one["data"]["endpoint"] for one in objects if _key(one) == ("ConfigMap", NAMESPACE, "object-store"))
    names = referenced_secrets(objects)
    create_secrets(runner, endpoint, names)
    if has_kubeflow and STORE in names:
        for namespace in _namespaces_of_runs(objects) or {KUBEFLOW}:
            share_keys(runner, namespace)
    _delete_changed_jobs(runner, {one["metadata"]["name"]: one for one in objects if one["kind"] == "Job"})
    _release_changed_volumes(runner, [one for one in objects if one["kind"] == "StatefulSet"])
    wait = partial(
        object_status.wait_until_ready,
        runner,
        NAMESPACE,
        settings.timeout_s,
        on_poll=partial(delete_stuck_pods, runner, NAMESPACE),
    )
    if _is_serving(runner):
        _apply(runner, objects, excluded={GATEWAY, *(name for stage in STAGES for name in stage)})
        for stage in STAGES:
            _apply(runner, objects, only=stage)
            wait(names=stage)
    runner.run_step(f"apply {settings.overlay} with images of {settings.tag}", ["kubectl", "apply", "-k", str(folder)])
    wait()


def referenced_secrets(objects: Sequence[Object]) -> frozenset[str]:
    """Return the names of the Secrets that the objects read."""
    found: set[str] = set()
    waiting: list[object] = list(objects)
    while waiting:
        match waiting.pop():
            case {"secretKeyRef": {"name": str(name)}} | {"secretName": str(name)}:
                found.add(name)
            case {"kind": "ServiceAccount", "secrets": [*secrets]}:
                found |= {one["name"] for one in secrets}
            case dict() as mapping:
                waiting += mapping.values()
            case list() as items:
                waiting += items
    return frozenset(found)


def _namespaces_of_runs(objects: Sequence[Object]) -> set[str]:
    """Return where the pods of the pipeline run: Kubeflow's namespace, or that of a profile."""
    named = {one["metadata"].get("namespace", "") for one in objects if one["metadata"]["name"] == STORE}
    return named - {NAMESPACE}


def images_of_overlay(runner: CommandRunner, settings: Settings) -> frozenset[str]:
    """Return the images of the overlay, without tags."""
    rendered = runner.kubectl("kustomize", str(_overlay(settings)))
    return frozenset(without_tag(image) for image in images_of(yaml.safe_load_all(rendered)))


def _in_registry(name: str, settings: Settings) -> dict[str, str]:
    """Return the entry that gives an image its name in the registry; those of the product get their tag."""
    _, prefix, own = name.rpartition(f"{PREFIX}/")
    if prefix:
        return {"name": name, "newName": f"{settings.registry}{PREFIX}/{own}", "newTag": settings.tag}
    return {"name": name, "newName": copy_name(settings.registry, name)}


def _overlay(settings: Settings) -> Path:
    overlay = MANIFESTS / "overlays" / settings.overlay
    if not overlay.is_dir():
        known = ", ".join(sorted(path.name for path in overlay.parent.iterdir()))
        raise CommandFailed(f"OVERLAY: there is no overlay {settings.overlay!r}; choose one of {known}")
    return overlay


def write_kustomization(settings: Settings, *, with_kubeflow: bool, mirrored: Collection[str] = ()) -> Path:
    """Write a kustomization that adds tags, registry and the place of pipeline runs to the overlay."""
    overlay = _overlay(settings)
    content = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [_relative(overlay)],
        "components": [] if with_kubeflow else [_relative(WITHOUT_KUBEFLOW)],
        "images": [
            *({"name": f"{PREFIX}/{image.name}", "newTag": settings.tag} for image in IMAGES if not settings.registry),
            *(_in_registry(name, settings) for name in sorted(mirrored)),
        ],
    }
    RENDERED.mkdir(parents=True, exist_ok=True)
    (RENDERED / "kustomization.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return RENDERED


def _relative(path: Path) -> str:
    return str(Path(*[".."] * len(RENDERED.parts)) / path)


def _release_changed_volumes(runner: CommandRunner, wanted: Sequence[Object]) -> None:
    """Delete the StatefulSets whose volume templates differ, which are immutable; their pods and volumes stay."""
    for one in wanted:
        name = one["metadata"]["name"]
        if runner.get("statefulset", name, "--namespace", NAMESPACE) is None:
            continue
        try:
            runner.kubectl("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(one))
        except CommandFailed as error:
            if "updates to statefulset spec" not in str(error):
                raise
            runner.kubectl("delete", "statefulset", name, "--namespace", NAMESPACE, "--cascade=orphan")
            runner.report(
                f"statefulset {name} is created again, its pods keep running; volumes that exist keep their size"
            )


def _is_serving(runner: CommandRunner) -> bool:
    """Return whether gateway and models are deployed and ready, so that an upgrade could make requests fail."""
    found = runner.get(object_status.KINDS, "--namespace", NAMESPACE) or {"items": []}
    ready = {one["metadata"]["name"] for one in found["items"] if object_status.not_ready_reason(one) == ""}
    return {GATEWAY, TEXT, IMAGE, FUSION} <= ready


def _apply(
    runner: CommandRunner, objects: Sequence[Object], *, only: Collection[str] = (), excluded: Collection[str] = ()
) -> None:
    """Apply the workloads with the names in `only`, or all objects but the workloads with those in `excluded`."""
    chosen = [one for one in objects if (_is_workload(one, only) if only else not _is_workload(one, excluded))]
    runner.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": chosen}))


def _is_workload(one: Object, names: Collection[str]) -> bool:
    return one["kind"] in WORKLOADS and one["metadata"]["name"] in names


def _delete_changed_jobs(runner: CommandRunner, wanted: Mapping[str, Object]) -> None:
    """Delete the Jobs of an earlier deployment whose pod template differs, which is immutable."""
    for name in object_status.DEPLOYMENT_JOBS:
        if runner.get("job", name, "--namespace", NAMESPACE) is None:
            continue
        try:
            runner.kubectl("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(wanted[name]))
        except CommandFailed as error:
            if "immutable" not in str(error):
                raise
            runner.kubectl("delete", "job", name, "--namespace", NAMESPACE, "--wait")


def _key(one: Object) -> tuple[str, str, str]:
    return one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"]
