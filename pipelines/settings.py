"""Where a training reads and writes; the numbers it works with are in params.yaml."""

import subprocess
from functools import cached_property
from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What this machine or deployment decides; each field names the environment variable it is read from."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True, extra="ignore", populate_by_name=True)

    state_dir: Path = Field(default=Path(".run"), validation_alias="STATE_DIR")
    """Where everything lives that a run on this machine makes (STATE_DIR)."""

    store_url: str = Field(default="", validation_alias="STORE_URL")
    """Object store, file:///folder or s3://bucket (STORE_URL); a folder below the state by default."""

    tracking_uri: str = Field(default="", validation_alias="MLFLOW_TRACKING_URI")
    """MLflow (MLFLOW_TRACKING_URI); embedded below the state by default."""

    experiment: str = Field(default="product-classifier", validation_alias="MLFLOW_EXPERIMENT_NAME")
    """MLflow experiment of the trainings (MLFLOW_EXPERIMENT_NAME)."""

    rollout_url: str = Field(default="", validation_alias="ROLLOUT_URL")
    """Where a release is put into service (ROLLOUT_URL); the folder of releases below the state by default."""

    service_url: str = Field(default="", validation_alias="SERVICE_URL")
    """Where the fusion answers, for the smoke test of a new release (SERVICE_URL); none is asked by default."""

    raw_url: str = Field(default="", validation_alias="RAW_URL")
    """Raw files that a run on Kubeflow Pipelines reads, s3://bucket/prefix (RAW_URL); `raw` of the store by default."""

    pipelines_host: str = Field(
        default="http://ml-pipeline.kubeflow.svc.cluster.local:8888",
        validation_alias=AliasChoices("KF_PIPELINES_ENDPOINT"),
    )
    """Kubeflow Pipelines API that `submit` talks to (KF_PIPELINES_ENDPOINT)."""

    pipelines_namespace: str = Field(default="kubeflow", validation_alias="KF_PIPELINES_NAMESPACE")
    """Namespace of Kubeflow Pipelines, that of the profile where it is multi-user (KF_PIPELINES_NAMESPACE)."""

    pipelines_token: Path = Field(
        default=Path("/var/run/secrets/kubeflow/pipelines/token"), validation_alias="KF_PIPELINES_SA_TOKEN_PATH"
    )
    """Projected token for a multi-user Kubeflow Pipelines, if the file is there (KF_PIPELINES_SA_TOKEN_PATH)."""

    git_commit: str = Field(default="", validation_alias="GIT_COMMIT")
    """Commit of the code (GIT_COMMIT); asked of git by default."""

    @cached_property
    def state(self) -> Path:
        return self.state_dir.resolve()

    @property
    def store(self) -> str:
        return self.store_url or (self.state / "store" / "product-classifier").as_uri()

    @property
    def raw(self) -> str:
        return self.raw_url or f"{self.store}/raw"

    @property
    def tracking(self) -> str:
        return self.tracking_uri or f"sqlite:///{self.state / 'mlflow.db'}"

    @property
    def rollout(self) -> str:
        return self.rollout_url or (self.state / "releases").as_uri()

    @property
    def commit(self) -> str:
        return self.git_commit or _head()


def _head() -> str:
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 - whichever git the developer uses
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()
