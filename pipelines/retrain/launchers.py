"""Create the launcher that the settings name; its modules are imported only where they are used."""

import sys

from pipelines.parameters import training_arguments
from pipelines.retrain.local_launcher import LocalLauncher
from pipelines.retrain.settings import TriggerSettings
from pipelines.settings import PipelineSettings
from product_classifier.retraining import RunStore
from product_classifier.retraining.launcher import Launcher
from product_classifier.store import ObjectStore

RUNS_FOLDER = "runs"
"""Folder of the local runs in the state folder."""


def make_launcher(settings: TriggerSettings, pipeline: PipelineSettings, store: ObjectStore) -> Launcher:
    """Return the launcher of this deployment; compile the pipeline if it needs the missing package."""
    if settings.launcher == "local":
        return LocalLauncher(pipeline.state / RUNS_FOLDER)
    if settings.launcher == "job":
        return _job_launcher(settings)
    return _kfp_launcher(settings, pipeline, store)


def make_command_launcher(settings: TriggerSettings, pipeline: PipelineSettings, command: str, name: str) -> Launcher:
    """Return what starts `python -m pipelines <command> <id>`: processes of this machine, or Jobs.

    Args:
        settings: Where runs are started.
        pipeline: Where the state is.
        command: The command.
        name: Of the folder of the processes, or the prefix of the Jobs.
    """

    def arguments(identifier: str, _: str) -> list[str]:
        return ["pipelines", command, identifier]

    def local_command(identifier: str, snapshot: str) -> list[str]:
        return [sys.executable, "-m", *arguments(identifier, snapshot)]

    if settings.launcher == "local":
        return LocalLauncher(pipeline.state / name, local_command)
    from components.shared.kubernetes_api import ClusterApi  # noqa: PLC0415 - needs the Kubernetes client
    from pipelines.kubeflow.job_launcher import JobLauncher  # noqa: PLC0415 - likewise

    return JobLauncher(lambda: ClusterApi(settings.namespace), arguments=arguments, prefix=f"{name}-", trains=False)


def _job_launcher(settings: TriggerSettings) -> Launcher:
    from components.shared.kubernetes_api import ClusterApi  # noqa: PLC0415 - needs the Kubernetes client
    from pipelines.kubeflow.job_launcher import JobLauncher  # noqa: PLC0415 - likewise

    api = ClusterApi(settings.namespace)
    return JobLauncher(lambda: api)


def _kfp_launcher(settings: TriggerSettings, pipeline: PipelineSettings, store: ObjectStore) -> Launcher:
    from components.shared.kubernetes_api import ClusterApi  # noqa: PLC0415 - needs the Kubernetes client
    from pipelines.compile import compile_training  # noqa: PLC0415 - imports kfp, which takes seconds
    from pipelines.kubeflow.kfp_launcher import KfpLauncher  # noqa: PLC0415 - likewise
    from pipelines.kubeflow.submit import connect  # noqa: PLC0415 - likewise

    if not settings.package.exists():
        compile_training(settings.package)
    run_store, arguments = RunStore(store), training_arguments(pipeline, pipeline.raw)

    def owner(run_id: str) -> str | None:
        found = run_store.owner(run_id)
        return found.execution if found else None

    return KfpLauncher(
        lambda: connect(pipeline.pipelines_host, pipeline.pipelines_namespace, pipeline.pipelines_token),
        settings.package,
        pipeline.experiment,
        lambda run_id, snapshot: arguments | {"run_id": run_id, "snapshot": snapshot},
        owner,
        lambda label: ClusterApi(pipeline.pipelines_namespace).pods(label),
    )
