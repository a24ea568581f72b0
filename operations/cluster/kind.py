"""The kind cluster and the platform on it, installed in the order of its dependencies."""

from dataclasses import dataclass
from pathlib import Path

from operations.cluster import requirements
from operations.cluster.command_runner import CommandFailed, CommandRunner

NAME = "product-classifier"
PLATFORM = Path("manifests/platform")


@dataclass(frozen=True, slots=True)
class PlatformPart:
    """A folder of the platform, and the `kubectl wait` arguments that must succeed before the next part."""

    folder: str
    waits: tuple[tuple[str, ...], ...]


def _available(namespace: str, *deployments: str) -> tuple[str, ...]:
    targets = [f"deployment/{name}" for name in deployments] or ["deployment", "--all"]
    return ("--namespace", namespace, "--for=condition=Available", *targets, "--timeout=900s")


PARTS = (
    PlatformPart("cert-manager", (_available("cert-manager"),)),
    PlatformPart("kserve", (_available("kserve", "kserve-controller-manager"),)),
    PlatformPart(
        "kubeflow-pipelines/cluster-scoped",
        (("--for=condition=Established", "crd/workflows.argoproj.io", "--timeout=120s"),),
    ),
    PlatformPart(
        "kubeflow-pipelines",
        (
            _available(
                "kubeflow", "mysql", "seaweedfs", "metadata-grpc-deployment", "ml-pipeline", "workflow-controller"
            ),
        ),
    ),
)
"""KServe's webhooks need certificates of cert-manager; objects of Kubeflow Pipelines need its CRDs."""


def up(runner: CommandRunner, *, existing: bool) -> None:
    """Create the cluster if it does not exist and install the platform; with `existing`, change nothing."""
    if existing:
        requirements.check(runner, (requirements.KUBECTL,), requirements.measure(), requirements.NONE)
        context = runner.kubectl("config", "current-context").strip()
        runner.report(f"using the current context, {context}; its platform is not changed")
        return
    programs = (requirements.DOCKER, requirements.KIND, requirements.KUBECTL)
    requirements.check(runner, programs, requirements.measure())
    if not exists(runner):
        command = ["kind", "create", "cluster", "--name", NAME, "--config", str(PLATFORM / "kind.yaml"), "--wait=300s"]
        runner.run_step(f"cluster {NAME}", command)
    runner.run(["kubectl", "config", "use-context", f"kind-{NAME}"])
    for part in PARTS:
        _install(runner, part)


def down(runner: CommandRunner, *, existing: bool) -> None:
    """Remove the kind cluster; with `existing`, change nothing."""
    if existing:
        runner.report("CLUSTER=existing: the cluster is not removed; `kubectl delete -k` removes the product")
    elif exists(runner):
        runner.run_step(f"cluster {NAME} removed", ["kind", "delete", "cluster", "--name", NAME])
    else:
        runner.report(f"there is no kind cluster {NAME}")


def exists(runner: CommandRunner) -> bool:
    """Return whether the kind cluster exists; False if kind is not installed."""
    try:
        return NAME in runner.run(["kind", "get", "clusters"]).split()
    except CommandFailed:
        return False


def _install(runner: CommandRunner, part: PlatformPart) -> None:
    apply = ["kubectl", "apply", "--server-side", "--force-conflicts", "-k", str(PLATFORM / part.folder)]
    try:
        runner.run_step(f"apply {part.folder}", apply)
    except CommandFailed:
        # On a new cluster, CRDs are not served and webhooks not reachable when the objects that need them are applied.
        for wait in part.waits:
            runner.run(["kubectl", "wait", *wait])
        runner.run_step(f"apply {part.folder} again", apply)
    for wait in part.waits:
        runner.run_step(f"ready {part.folder}", ["kubectl", "wait", *wait])
