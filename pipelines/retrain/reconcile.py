"""One reconciliation of the retrain trigger as a pipeline, for recurring runs."""

from pathlib import Path

from kfp import dsl

from components.shared import step_image
from pipelines.compile import compile_pipeline
from pipelines.settings import PipelineSettings
from pipelines.task_configuration import RECONCILE_RESOURCES, configure_task
from product_classifier.retraining.settings import RetrainSettings

RECONCILE_PACKAGE = Path("build/retrain-reconcile.yaml")

_PIPELINE, _RETRAIN = PipelineSettings.model_fields, RetrainSettings.model_fields


def compile_reconcile(package: Path = RECONCILE_PACKAGE) -> Path:
    """Compile the pipeline to `package` and return that path."""
    return compile_pipeline(retrain_reconcile, package)


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def reconcile_once(
    store: str,
    raw: str,
    tracking_uri: str,
    experiment: str,
    rollout: str,
    endpoint: str,
    namespace: str,
    min_corrections: int,
    cooldown_s: float,
) -> None:
    """Take the steps that are due now: claim a run, start it, or record its result.

    Args:
        store: Object store with corrections and claims, s3://bucket.
        raw: Raw files of a run, s3://bucket/prefix.
        tracking_uri: MLflow tracking URI.
        experiment: Name of the MLflow experiment.
        rollout: Where a run deploys its release, kserve://namespace.
        endpoint: URL of the Kubeflow Pipelines API that runs are started on.
        namespace: Namespace of the runs.
        min_corrections: Number of new trusted corrections from which a run is due.
        cooldown_s: Pause after a run, in seconds.
    """
    import os
    import subprocess
    import sys
    import tempfile

    from pipelines.compat.kfp import CLIENT_ENVIRONMENT

    settings = {
        "STORE_URL": store,
        "RAW_URL": raw,
        "MLFLOW_TRACKING_URI": tracking_uri,
        "MLFLOW_EXPERIMENT_NAME": experiment,
        "ROLLOUT_URL": rollout,
        "KF_PIPELINES_ENDPOINT": endpoint,
        "KF_PIPELINES_NAMESPACE": namespace,
        "RETRAIN_LAUNCHER": "kfp",
        "RETRAIN_PACKAGE": f"{tempfile.gettempdir()}/training.yaml",
        "RETRAIN_MIN_CORRECTIONS": str(min_corrections),
        "RETRAIN_COOLDOWN": str(cooldown_s),
        **CLIENT_ENVIRONMENT,
    }
    subprocess.run([sys.executable, "-m", "pipelines.retrain", "--once"], env=os.environ | settings, check=True)


@dsl.pipeline(name="retrain-reconcile", description="Start a training run if enough new corrections have been given.")
def retrain_reconcile(
    store: str,
    raw: str,
    tracking_uri: str,
    rollout: str,
    endpoint: str,
    namespace: str = _PIPELINE["pipelines_namespace"].default,
    experiment: str = _PIPELINE["experiment"].default,
    min_corrections: int = _RETRAIN["min_corrections"].default,
    cooldown_s: float = _RETRAIN["cooldown_s"].default,
) -> None:
    task = reconcile_once(
        store=store,
        raw=raw,
        tracking_uri=tracking_uri,
        experiment=experiment,
        rollout=rollout,
        endpoint=endpoint,
        namespace=namespace,
        min_corrections=min_corrections,
        cooldown_s=cooldown_s,
    )
    configure_task(task, RECONCILE_RESOURCES)
    task.set_env_variable("TRAINER_IMAGE", step_image.TRAINER)  # a run it starts uses the image of the same commit
