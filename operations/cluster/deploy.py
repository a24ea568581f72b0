"""Apply an overlay to the current context and wait until everything is ready.

The manifests do not need this command: `kubectl apply -k manifests/overlays/<name>` creates the same objects once the
Secrets exist. A repeated deployment changes only what differs.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import yaml

from operations.cluster import object_status
from operations.cluster.command_runner import CommandFailed, CommandRunner
from operations.cluster.images import IMAGES, PREFIX
from operations.cluster.object_status import Object
from operations.cluster.secrets import KUBEFLOW, NAMESPACE, create_secrets, share_with_kubeflow
from operations.cluster.settings import Settings

MANIFESTS = Path("manifests")
RENDERED = Path("build/deploy")
WITHOUT_KUBEFLOW = MANIFESTS / "components/without-kubeflow"


def deploy(runner: CommandRunner, settings: Settings) -> None:
    """Check the platform, create the Secrets, apply the overlay and wait."""
    object_status.wait_for_platform(runner)
    has_kubeflow = runner.get("service", "ml-pipeline", "--namespace", KUBEFLOW) is not None
    runner.report("pipeline runs are started " + ("on Kubeflow Pipelines" if has_kubeflow else "as Jobs"))
    folder = write_kustomization(settings, with_kubeflow=has_kubeflow)
    runner.kubectl("apply", "-f", str(MANIFESTS / "base/namespace.yaml"))
    objects = list(yaml.safe_load_all(runner.kubectl("kustomize", str(folder))))
    endpoint = next(one["data"]["endpoint"] for one in objects if _key(one) == ("ConfigMap", NAMESPACE, "object-store"))
    create_secrets(runner, endpoint)
    if has_kubeflow:
        share_with_kubeflow(runner)
    _delete_changed_jobs(runner, {one["metadata"]["name"]: one for one in objects if one["kind"] == "Job"})
    runner.run_step(f"apply {settings.overlay} with images of {settings.tag}", ["kubectl", "apply", "-k", str(folder)])
    object_status.wait_until_ready(runner, NAMESPACE, settings.timeout_s)


def write_kustomization(settings: Settings, *, with_kubeflow: bool) -> Path:
    """Write a kustomization that adds the image tag and the place of pipeline runs to the overlay."""
    overlay = MANIFESTS / "overlays" / settings.overlay
    if not overlay.is_dir():
        known = ", ".join(sorted(path.name for path in overlay.parent.iterdir()))
        raise CommandFailed(f"OVERLAY: there is no overlay {settings.overlay!r}; choose one of {known}")
    content = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [_relative(overlay)],
        "components": [] if with_kubeflow else [_relative(WITHOUT_KUBEFLOW)],
        "images": [{"name": f"{PREFIX}/{image.name}", "newTag": settings.tag} for image in IMAGES],
    }
    RENDERED.mkdir(parents=True, exist_ok=True)
    (RENDERED / "kustomization.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return RENDERED


def _relative(path: Path) -> str:
    return str(Path(*[".."] * len(RENDERED.parts)) / path)


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
