"""Settings of the pipeline commands; parameters of the training are in params.yaml."""

import subprocess
from functools import cached_property
from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from product_classifier.monitoring.drift_policy import Policy
from product_classifier.store import default_store_url

PARAMS = Path("params.yaml")


class PipelineSettings(BaseSettings):
    """Locations of a pipeline run; `validation_alias` is the environment variable of a field."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True, extra="ignore", populate_by_name=True)

    state_dir: Path = Field(default=Path(".run"), validation_alias="STATE_DIR")
    """Folder for everything that a run on this machine writes."""

    store_url: str = Field(default="", validation_alias="STORE_URL")
    """Object store, file:///folder or s3://bucket; by default a folder of the state folder."""

    tracking_uri: str = Field(default="", validation_alias="MLFLOW_TRACKING_URI")
    """MLflow tracking URI; by default a SQLite database in the state folder."""

    experiment: str = Field(default="product-classifier", validation_alias="MLFLOW_EXPERIMENT_NAME")
    """MLflow experiment of the training runs."""

    rollout_url: str = Field(default="", validation_alias="ROLLOUT_URL")
    """Where releases are deployed, file:///folder or kserve://namespace; by default a folder of the
    state folder."""

    service_url: str = Field(default="", validation_alias="SERVICE_URL")
    """URL of the fusion transformer for the smoke test of a new release; by default no smoke test."""

    raw_url: str = Field(default="", validation_alias="RAW_URL")
    """Raw files of a run on Kubeflow Pipelines, s3://bucket/prefix; by default `raw` in the object store."""

    pipelines_host: str = Field(
        default="http://ml-pipeline.kubeflow.svc.cluster.local:8888",
        validation_alias=AliasChoices("KF_PIPELINES_ENDPOINT"),
    )
    """URL of the Kubeflow Pipelines API."""

    pipelines_namespace: str = Field(default="kubeflow", validation_alias="KF_PIPELINES_NAMESPACE")
    """Namespace of Kubeflow Pipelines; of the profile if it is multi-user."""

    pipelines_token: Path = Field(
        default=Path("/var/run/secrets/kubeflow/pipelines/token"), validation_alias="KF_PIPELINES_SA_TOKEN_PATH"
    )
    """Projected service account token for a multi-user Kubeflow Pipelines; ignored if the
    file does not exist."""

    git_commit: str = Field(default="", validation_alias="GIT_COMMIT")
    """Git commit recorded in the release; by default the one of the working directory."""

    @cached_property
    def state(self) -> Path:
        """Absolute path of the state folder."""
        return self.state_dir.resolve()

    @property
    def store(self) -> str:
        """URL of the object store."""
        return self.store_url or default_store_url(self.state)

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


class DataSettings(BaseSettings):
    """Locations and size of the data; each field is the variable of the same name in capitals."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True, extra="ignore", env_ignore_empty=True)

    data_dir: Path = Path("data")
    """Folder for all data."""

    raw: Path | None = None
    """Folder with the files of a catalogue, with `catalogue.yaml` or as the challenge's; by default `raw` in the data
    folder."""

    catalogue: Path | None = None
    """Layout of the files in RAW; by default `catalogue.yaml` beside them."""

    private_photos: bool = False
    """Whether photos by URL may have private addresses, such as those of a server in the same network."""

    write: bool = False
    """Whether `inspect` writes the proposed `catalogue.yaml`."""

    products: int | None = Field(default=None, ge=1)
    """Number of products of a sample catalogue; by default as in the parameters file."""

    params: Path = PARAMS
    """File with the parameters of the steps."""


class ScoreSettings(BaseSettings):
    """What `score` reads and writes; each field is the variable of the same name in capitals."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True, extra="ignore", env_ignore_empty=True)

    source: str = ""
    """File or folder of products: a path, file:///path or s3://bucket/key."""

    result: str = ""
    """Where predictions are written: a file .parquet or .csv, a folder, or s3://bucket/key."""

    catalogue: Path | None = None
    """Layout of the source; by default `catalogue.yaml` beside it."""

    release: str = ""
    """Release that predicts: its id, a folder or s3://bucket/prefix; by default the deployed one."""

    jobs: int = Field(default=0, ge=0)
    """Number of worker processes; 0 for one per processor."""

    private_photos: bool = False
    """Whether photos by URL may have private addresses, such as those of a server in the same network."""


class MonitorSettings(BaseSettings):
    """Window, policy and retention of monitoring; but for SINCE and RELEASE, prefix MONITOR_."""

    model_config = SettingsConfigDict(
        env_prefix="MONITOR_",
        frozen=True,
        use_attribute_docstrings=True,
        extra="ignore",
        env_ignore_empty=True,
        populate_by_name=True,
    )

    since: str = Field(default="", validation_alias="SINCE")
    """Start of the window: a time (ISO 8601, UTC) or a span such as 90m, 24h or 7d; empty for 24 hours."""

    release: str = Field(default="", validation_alias="RELEASE")
    """Release whose predictions are compared with its reference; empty for that of the newest prediction."""

    policy: Policy = "label"
    """What drift leads to: `off`, `notify`, `label` (queues products to label) or `retrain` (lowers the number of
    trusted corrections that start a run); each does what the one before does, and more."""

    webhook_url: str = ""
    """URL that findings are sent to as JSON, which Slack accepts; empty for none."""

    private_webhook: bool = False
    """Whether the webhook may have a private address, such as that of a server in the same network."""

    min_corrections: int = Field(default=10, ge=1)
    """Trusted corrections from which a run starts after drift, with the policy `retrain`."""

    queue_limit: int = Field(default=100, ge=0)
    """Products of a drifted window that are queued to be labelled."""

    delete_after_days: int = Field(default=-1, ge=-1)
    """Age in days at which small objects of predictions that the prediction log has are deleted; -1 for never."""

    retention_days: int = Field(default=-1, ge=-1)
    """Age in days at which predictions are deleted, with photos that no correction has; -1 for never."""


class TuneSettings(BaseSettings):
    """Extent of a search of hyper-parameters."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True, extra="ignore", env_ignore_empty=True)

    trials: int = Field(default=20, ge=2)
    """Trials of each model; the first has the parameters of the parameters file."""


class BootstrapSettings(BaseSettings):
    """Settings of the bootstrap; each field is the variable of the same name in capitals."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True, extra="ignore", env_ignore_empty=True)

    products: int | None = Field(default=None, ge=1)
    """Number of products of the sample catalogue; by default as in params.yaml."""

    bootstrap_wait_s: float = Field(default=900.0, gt=0)
    """Seconds to wait for the object store and MLflow to start."""

    bootstrap_poll_s: float = Field(default=5.0, gt=0)
    """Seconds between two checks of the store, MLflow or the run."""


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
