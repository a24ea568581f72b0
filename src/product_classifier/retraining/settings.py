"""Settings of the retrain trigger."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class RetrainSettings(BaseSettings):
    """When the trigger starts a run and how long it waits; prefix RETRAIN_."""

    model_config = SettingsConfigDict(env_prefix="RETRAIN_", frozen=True, use_attribute_docstrings=True, extra="ignore")

    min_corrections: int = Field(default=50, ge=1)
    """A run starts once this many products have a trusted correction that no successful run has used."""

    cooldown_s: float = Field(default=600.0, ge=0, validation_alias="RETRAIN_COOLDOWN")
    """Seconds after a run before the next one starts; doubled by each consecutive failure, at most 24 hours."""

    lease_s: float = Field(default=60.0, gt=0)
    """Seconds after which another trigger takes over the start of a run."""

    start_grace_s: float = Field(default=15.0, ge=0)
    """Seconds to wait for an execution to appear after a start request failed, before it is sent again."""

    run_timeout_s: float = Field(default=6 * 3600.0, gt=0)
    """Seconds after which a run is stopped."""
