"""Apply an overlay to the current context and stay until everything answers.

Nothing here is needed to use the manifests: `kubectl apply -k manifests/overlays/<name>` gives the same objects, once
the Secrets exist. Repeating a deployment changes only what differs.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import yaml

from operations.cluster import waiting
from operations.cluster.commands import CommandFailed, Commands
from operations.cluster.images import IMAGES, PREFIX
from operations.cluster.secrets import KUBEFLOW, NAMESPACE, make_secrets, share_with_kubeflow
from operations.cluster.settings import Settings
from operations.cluster.waiting import Object

MANIFESTS = Path("manifests")
RENDERED = Path("build/deploy")
WITHOUT_KUBEFLOW = MANIFESTS / "components/without-kubeflow"


def deploy(commands: Commands, settings: Settings) -> None:
    """Do it all, in order."""
    waiting.for_platform(commands)
    has_kubeflow = commands.get("service", "ml-pipeline", "--namespace", KUBEFLOW) is not None
    commands.say("pipeline runs " + ("go to Kubeflow Pipelines" if has_kubeflow else "are Jobs of this namespace"))
    folder = write_kustomization(settings, with_kubeflow=has_kubeflow)
    commands.kubectl("apply", "-f", str(MANIFESTS / "base/namespace.yaml"))
    objects = list(yaml.safe_load_all(commands.kubectl("kustomize", str(folder))))
    endpoint = next(one["data"]["endpoint"] for one in objects if _names(one) == ("ConfigMap", "object-store"))
    make_secrets(commands, endpoint)
    if has_kubeflow:
        share_with_kubeflow(commands, endpoint)
    _forget_changed_jobs(commands, {one["metadata"]["name"]: one for one in objects if one["kind"] == "Job"})
    commands.step(f"apply {settings.overlay} with images of {settings.tag}", ["kubectl", "apply", "-k", str(folder)])
    waiting.until_ready(commands, NAMESPACE, settings.timeout_s)


def write_kustomization(settings: Settings, *, with_kubeflow: bool) -> Path:
    """Write what this deployment adds to the overlay: the tag of its images, and where pipelines run."""
    overlay = MANIFESTS / "overlays" / settings.overlay
    if not overlay.is_dir():
        known = ", ".join(sorted(path.name for path in overlay.parent.iterdir()))
        raise CommandFailed(f"there is no overlay {settings.overlay!r}; there are {known}")
    content = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [_from_build(overlay)],
        "components": [] if with_kubeflow else [_from_build(WITHOUT_KUBEFLOW)],
        "images": [{"name": f"{PREFIX}/{image.name}", "newTag": settings.tag} for image in IMAGES],
    }
    RENDERED.mkdir(parents=True, exist_ok=True)
    (RENDERED / "kustomization.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return RENDERED


def _from_build(path: Path) -> str:
    return str(Path(*[".."] * len(RENDERED.parts)) / path)


def _forget_changed_jobs(commands: Commands, wanted: Mapping[str, Object]) -> None:
    """Remove the Jobs of an earlier deployment that ran something else: what a Job runs cannot be changed."""
    for name in waiting.ONCE:
        if commands.get("job", name, "--namespace", NAMESPACE) is None:
            continue
        try:
            commands.kubectl("apply", "--dry-run=server", "-f", "-", given=json.dumps(wanted[name]))
        except CommandFailed as error:
            if "immutable" not in str(error):
                raise
            commands.kubectl("delete", "job", name, "--namespace", NAMESPACE, "--wait")


def _names(one: Object) -> tuple[str, str]:
    return one["kind"], one["metadata"]["name"]
