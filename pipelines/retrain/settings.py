"""Settings of the process of the retrain trigger."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class TriggerSettings(BaseSettings):
    """How the process runs; each field is RETRAIN_<NAME> in the environment."""

    model_config = SettingsConfigDict(env_prefix="RETRAIN_", frozen=True, use_attribute_docstrings=True, extra="ignore")

    launcher: Literal["local", "kfp", "job"] = "local"
    """Where runs are started: in processes of this machine, on Kubeflow Pipelines, or as Kubernetes Jobs."""

    namespace: str = "product-classifier"
    """Namespace of the Jobs."""

    host: str = "127.0.0.1"
    """Address of the HTTP server."""

    port: int = Field(default=8083, ge=0, le=65535)
    """Port of the HTTP server."""

    token: SecretStr = SecretStr("")
    """Shared secret of callers; an empty one refuses every request for a reconciliation, so the trigger only polls."""

    poll_s: float = Field(default=15.0, gt=0)
    """Seconds between two reconciliations."""

    busy_poll_s: float = Field(default=1.0, gt=0)
    """Seconds between two reconciliations while a run is being started or is active."""

    package: Path = Path("build/training.yaml")
    """The compiled training pipeline; compiled if the file does not exist."""
