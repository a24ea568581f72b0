"""When the trigger starts a run."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class RetrainSettings(BaseSettings):
    """What the deployment decides; each field is RETRAIN_<NAME> in the environment."""

    model_config = SettingsConfigDict(env_prefix="RETRAIN_", frozen=True, use_attribute_docstrings=True, extra="ignore")

    min_corrections: int = Field(default=50, ge=1)
    """How many products with a trustworthy label that no run has learned make a run due."""

    cooldown_s: float = Field(default=600.0, ge=0, validation_alias="RETRAIN_COOLDOWN")
    """Pause after a run (RETRAIN_COOLDOWN, seconds); doubled by each failure in a row."""

    lease_s: float = Field(default=60.0, gt=0)
    """How long a trigger that announced to start a run may take before another does it."""

    start_grace_s: float = Field(default=15.0, ge=0)
    """How long a start whose reply was lost may take to show up before it is repeated."""

    run_timeout_s: float = Field(default=6 * 3600.0, gt=0)
    """How long a run may take before it is stopped."""
