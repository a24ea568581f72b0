"""Render overlays like `kubectl apply -k` and iterate over their pods."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

MANIFESTS = Path(__file__).parents[2] / "manifests"
OVERLAYS = sorted(path.name for path in (MANIFESTS / "overlays").iterdir())
Object = dict[str, Any]


@cache
def overlay(name: str, component: str = "") -> tuple[Object, ...]:
    """Return the objects of an overlay with a component added; skip the test without kubectl or kustomize."""
    command = _renderer()
    if command is None:
        pytest.skip("neither kubectl nor kustomize is installed")
    with TemporaryDirectory() as scratch:
        content = {"resources": [_relative(scratch, MANIFESTS / "overlays" / name)]}
        if component:
            content["components"] = [_relative(scratch, MANIFESTS / "components" / component)]
        (Path(scratch) / "kustomization.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        done = subprocess.run([*command, scratch], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return tuple(one for one in yaml.load_all(done.stdout, Loader=yaml.CSafeLoader) if one)


def _relative(folder: str, path: Path) -> str:
    """Return a relative path; kustomize does not accept absolute ones."""
    return os.path.relpath(path, os.path.realpath(folder))


def pods(objects: tuple[Object, ...]) -> Iterator[tuple[str, Object]]:
    """Yield kind and name of each object that has a pod template, and the specification of the pod."""
    for one in objects:
        name = f"{one['kind']}/{one['metadata']['name']}"
        spec = one.get("spec", {})
        match one["kind"]:
            case "Deployment" | "StatefulSet" | "Job":
                yield name, spec["template"]["spec"]
            case "CronJob":
                yield name, spec["jobTemplate"]["spec"]["template"]["spec"]
            case "InferenceService":
                yield name, spec["predictor"]
            case "ClusterStorageContainer":
                yield name, {"containers": [spec["container"]]}


def containers(pod: Object) -> list[Object]:
    return [*pod.get("initContainers", []), *pod["containers"]]


def _renderer() -> list[str] | None:
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    return ["kubectl", "kustomize"] if shutil.which("kubectl") else None
