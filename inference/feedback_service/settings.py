"""What the deployment decides about the feedback service."""

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MIN_SECRET_CHARACTERS = 32
PLACEHOLDERS = frozenset({"change-me", "changeme", "secret", "password", "placeholder"})


class Settings(BaseSettings):
    """Each field is FEEDBACK_<NAME> in the environment."""

    model_config = SettingsConfigDict(
        env_prefix="FEEDBACK_", frozen=True, use_attribute_docstrings=True, extra="ignore"
    )

    host: str = "127.0.0.1"
    """Address the gateway reaches the service at."""
    port: int = Field(default=8082, ge=0, le=65535)
    """Port the gateway reaches the service at."""
    internal_token: SecretStr
    """Shared with the gateway: proves that identity headers come from it."""
    store_url: str = ""
    """Object store, file:// or s3://; empty: a folder in the state directory."""
    state_dir: Path = Path(".run")
    """Holds the journal; must survive a restart, else nothing may be acknowledged while the store is away."""
    journal_mb: int = Field(default=256, ge=0)
    """Room for corrections while the store is away; 0 means to answer 503 instead."""
    body_limit: int = Field(default=8_000_000, ge=10_000)
    """Bytes one request body may have."""
    longest_pause_s: float = Field(default=15.0, gt=0, le=30)
    """Longest time between two attempts to reach a store that is away."""
    trigger_url: str = ""
    """Where the retrain trigger can be woken; empty: it looks by itself."""
    shutdown_s: int = Field(default=10, gt=0)
    """How long a stop waits for requests in progress."""

    @model_validator(mode="after")
    def _has_a_secret(self) -> Self:
        secret = self.internal_token.get_secret_value()
        if len(secret) < MIN_SECRET_CHARACTERS or secret.lower() in PLACEHOLDERS:
            raise ValueError(f"FEEDBACK_INTERNAL_TOKEN must have at least {MIN_SECRET_CHARACTERS} characters")
        return self

    def store_address(self) -> str:
        """Return the store's URL, the folder of a local run by default."""
        return self.store_url or f"file://{(self.state_dir / 'store' / 'product-classifier').resolve()}"
