"""Settings of the feedback service."""

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from inference.feedback_api import MIN_SECRET_CHARACTERS
from product_classifier.limits import GIB, PHOTO_BODY_BYTES
from product_classifier.store import default_store_url


class Settings(BaseSettings):
    """Each field is FEEDBACK_<NAME> in the environment."""

    model_config = SettingsConfigDict(
        env_prefix="FEEDBACK_", frozen=True, use_attribute_docstrings=True, extra="ignore"
    )

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(default=8082, ge=0, le=65535)
    """Port to listen on; 0 picks a free one."""
    internal_token: SecretStr
    """Secret shared with the gateway, at least 32 characters; it proves that the identity headers are the gateway's."""
    store_url: str = ""
    """Object store, `file:///folder` or `s3://bucket`; empty for a folder in the state directory."""
    state_dir: Path = Path(".run")
    """Folder of the journal, which must survive restarts, because it holds acknowledged corrections during an outage,
    and of the indexes of corrections and predictions, which are built again if they are missing; about 1 kB per
    record."""
    journal_mb: int = Field(default=256, ge=0)
    """Size limit in MiB of the journal that corrections wait in during an outage; 0 responds 503 instead."""
    body_limit: int = Field(default=PHOTO_BODY_BYTES, ge=10_000)
    """Largest request body in bytes; lowers the product's limit, never raises it."""
    upload_limit: int = Field(default=GIB, ge=10_000)
    """Largest file in bytes of `/batches`; on disk in the state directory while it is checked."""
    longest_pause_s: float = Field(default=15.0, gt=0, le=30)
    """Longest pause in seconds between two attempts to reach an unavailable store."""
    daily_corrections: int = Field(default=10_000, ge=0)
    """Corrections that one user may submit on a day (UTC), whatever the role; 0 for any number. A repeated request
    does not count."""
    known_answer_share: float = Field(default=0.0, ge=0, le=0.5)
    """Share of the queue's items that are products whose category a reviewer decided, to see how well users label; 0
    offers none. Answers are no corrections."""
    trigger_url: str = ""
    """URL of the retrain trigger, which is notified of new corrections; empty if it only polls."""
    shutdown_s: int = Field(default=10, gt=0)
    """Time in seconds that requests in progress have to complete during shutdown."""

    @model_validator(mode="after")
    def _has_a_secret(self) -> Self:
        if (length := len(self.internal_token.get_secret_value())) < MIN_SECRET_CHARACTERS:
            raise ValueError(
                f"FEEDBACK_INTERNAL_TOKEN: has {length} characters; set a secret of {MIN_SECRET_CHARACTERS} or more"
            )
        return self

    def store_address(self) -> str:
        """Return the URL of the store, by default of a folder in the state directory."""
        return self.store_url or default_store_url(self.state_dir)
