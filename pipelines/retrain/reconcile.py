"""One look of the retrain trigger as a pipeline, for a recurring run where nobody wants a process that always runs."""

from kfp import dsl

from components.shared import step_image
from pipelines.kubeflow.cluster import LOOK, place


@dsl.component(base_image=step_image.TRAINER, install_kfp_package=False)
def look(
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
    """Take the steps that are due now: claim a run, start it, or write how it ended.

    Args:
        store: Where corrections and claims are: s3://bucket.
        raw: Raw files a run trains on: s3://bucket/prefix.
        tracking_uri: Where MLflow is.
        experiment: Name of the MLflow experiment.
        rollout: Where a run puts its release into service.
        endpoint: Kubeflow Pipelines API, where runs are started.
        namespace: Namespace of the runs.
        min_corrections: How many new corrections make a run due.
        cooldown_s: Pause after a run.
    """
    import os
    import subprocess
    import sys
    import tempfile

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
        "_KFP_RUNTIME": "false",  # in a step kfp leaves its client out, and only this process is the step
    }
    subprocess.run([sys.executable, "-m", "pipelines.retrain", "--once"], env=os.environ | settings, check=True)


@dsl.pipeline(name="retrain-look", description="Start a training if enough new corrections are there.")
def retrain_look(
    store: str,
    raw: str,
    tracking_uri: str,
    rollout: str,
    endpoint: str,
    namespace: str = "kubeflow",
    experiment: str = "product-classifier",
    min_corrections: int = 50,
    cooldown_s: float = 600.0,
) -> None:
    looked = look(
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
    place(looked, LOOK)
    looked.set_env_variable(
        "TRAINER_IMAGE", step_image.TRAINER
    )  # the steps of the run it starts are of the same commit
