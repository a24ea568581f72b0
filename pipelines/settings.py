"""Settings of the pipeline: where a run reads and writes. Training parameters are in params.yaml."""

import subprocess
from functools import cached_property
from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class PipelineSettings(BaseSettings):
    """Locations of a pipeline run; each field documents its environment variable."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True, extra="ignore", populate_by_name=True)

    state_dir: Path = Field(default=Path(".run"), validation_alias="STATE_DIR")
    """Folder for everything that a run on this machine writes (STATE_DIR)."""

    store_url: str = Field(default="", validation_alias="STORE_URL")
    """Object store, file:///folder or s3://bucket (STORE_URL); by default a folder of the state folder."""

    tracking_uri: str = Field(default="", validation_alias="MLFLOW_TRACKING_URI")
    """MLflow tracking URI (MLFLOW_TRACKING_URI); by default a SQLite database in the state folder."""

    experiment: str = Field(default="product-classifier", validation_alias="MLFLOW_EXPERIMENT_NAME")
    """MLflow experiment of the training runs (MLFLOW_EXPERIMENT_NAME)."""

    rollout_url: str = Field(default="", validation_alias="ROLLOUT_URL")
    """Where releases are deployed, file:///folder or kserve://namespace (ROLLOUT_URL); by default a folder of the
    state folder."""

    service_url: str = Field(default="", validation_alias="SERVICE_URL")
    """URL of the fusion transformer for the smoke test of a new release (SERVICE_URL); by default no smoke test."""

    raw_url: str = Field(default="", validation_alias="RAW_URL")
    """Raw files of a run on Kubeflow Pipelines, s3://bucket/prefix (RAW_URL); by default `raw` in the object store."""

    pipelines_host: str = Field(
        default="http://ml-pipeline.kubeflow.svc.cluster.local:8888",
        validation_alias=AliasChoices("KF_PIPELINES_ENDPOINT"),
    )
    """URL of the Kubeflow Pipelines API (KF_PIPELINES_ENDPOINT)."""

    pipelines_namespace: str = Field(default="kubeflow", validation_alias="KF_PIPELINES_NAMESPACE")
    """Namespace of Kubeflow Pipelines; of the profile if it is multi-user (KF_PIPELINES_NAMESPACE)."""

    pipelines_token: Path = Field(
        default=Path("/var/run/secrets/kubeflow/pipelines/token"), validation_alias="KF_PIPELINES_SA_TOKEN_PATH"
    )
    """Projected service account token for a multi-user Kubeflow Pipelines (KF_PIPELINES_SA_TOKEN_PATH); ignored if the
    file does not exist."""

    git_commit: str = Field(default="", validation_alias="GIT_COMMIT")
    """Git commit recorded in the release (GIT_COMMIT); by default the one of the working directory."""

    @cached_property
    def state(self) -> Path:
        """Absolute path of the state folder."""
        return self.state_dir.resolve()

    @property
    def store(self) -> str:
        """URL of the object store."""
        return self.store_url or (self.state / "store" / "product-classifier").as_uri()

    @property
    def raw(self) -> str:
        """URL of the raw files in the object store."""
        return self.raw_url or f"{self.store}/raw"

    @property
    def tracking(self) -> str:
        """MLflow tracking URI."""
        return self.tracking_uri or f"sqlite:///{self.state / 'mlflow.db'}"

    @property
    def rollout(self) -> str:
        """URL of the deployed releases."""
        return self.rollout_url or (self.state / "releases").as_uri()

    @property
    def commit(self) -> str:
        """Git commit; empty outside a repository."""
        return self.git_commit or _git_head()


def _git_head() -> str:
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 - git is found on the PATH
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()
