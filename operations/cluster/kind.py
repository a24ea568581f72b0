"""The cluster on a laptop: made by kind, with the platform in the order its parts need each other."""

from dataclasses import dataclass
from pathlib import Path

from operations.cluster import machine
from operations.cluster.commands import CommandFailed, Commands

NAME = "product-classifier"
PLATFORM = Path("manifests/platform")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the platform: the folder that is applied, and what must be true before the next."""

    folder: str
    waits: tuple[tuple[str, ...], ...]


def _available(namespace: str, *deployments: str) -> tuple[str, ...]:
    which = deployments or ("--all",)
    named = [name if name.startswith("--") else f"deployment/{name}" for name in which]
    kind = () if deployments else ("deployment",)
    return ("--namespace", namespace, "--for=condition=Available", *kind, *named, "--timeout=900s")


PARTS = (
    Part("cert-manager", (_available("cert-manager"),)),
    Part("kserve", (_available("kserve", "kserve-controller-manager"),)),
    Part(
        "kubeflow-pipelines/cluster-scoped",
        (("--for=condition=Established", "crd/workflows.argoproj.io", "--timeout=120s"),),
    ),
    Part(
        "kubeflow-pipelines",
        (
            _available(
                "kubeflow", "mysql", "seaweedfs", "metadata-grpc-deployment", "ml-pipeline", "workflow-controller"
            ),
        ),
    ),
)
"""The order: KServe's webhooks need cert-manager's certificates, Kubeflow's objects their kinds."""


def up(commands: Commands, *, existing: bool) -> None:
    """Make the cluster, and put the platform into it; what is there already stays."""
    if existing:
        machine.check(commands, (machine.KUBECTL,), machine.room(), machine.Room(0, 0, 0))
        context = commands.kubectl("config", "current-context").strip()
        commands.say(f"using the current context, {context}: the platform there is left as it is")
        return
    machine.check(commands, (machine.DOCKER, machine.KIND, machine.KUBECTL), machine.room())
    if not exists(commands):
        command = ["kind", "create", "cluster", "--name", NAME, "--config", str(PLATFORM / "kind.yaml"), "--wait=300s"]
        commands.step(f"cluster {NAME}", command)
    commands.run(["kubectl", "config", "use-context", f"kind-{NAME}"])
    for part in PARTS:
        _install(commands, part)


def down(commands: Commands, *, existing: bool) -> None:
    """Remove the cluster; of one that is not ours, nothing."""
    if existing:
        commands.say("CLUSTER=existing: this cluster is not ours to remove; `kubectl delete -k` removes the product")
    elif exists(commands):
        commands.step(f"cluster {NAME} removed", ["kind", "delete", "cluster", "--name", NAME])
    else:
        commands.say(f"there is no kind cluster {NAME}")


def exists(commands: Commands) -> bool:
    """Tell whether our kind cluster is there; no kind, no cluster."""
    try:
        return NAME in commands.run(["kind", "get", "clusters"]).split()
    except CommandFailed:
        return False


def _install(commands: Commands, part: Part) -> None:
    apply = ["kubectl", "apply", "--server-side", "--force-conflicts", "-k", str(PLATFORM / part.folder)]
    try:
        commands.step(f"apply {part.folder}", apply)
    except CommandFailed:
        # The first time, kinds are not served yet and webhooks not reachable yet when the objects that need them come.
        for wait in part.waits:
            commands.run(["kubectl", "wait", *wait])
        commands.step(f"apply {part.folder} again", apply)
    for wait in part.waits:
        commands.step(f"ready {part.folder}", ["kubectl", "wait", *wait])
