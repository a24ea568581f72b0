"""What the person at the keyboard decides about a local run."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The field's name in capitals is the variable."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True)

    port: int = Field(default=8080, ge=1, le=65_500)
    """Port of the gateway; the other services take the ports behind it."""

    state_dir: Path = Path(".run")
    """Everything a run keeps: users, keys, releases, store, logs."""

    given_store_url: str = Field(default="", validation_alias="STORE_URL")
    """Object store, file:///folder or s3://bucket (STORE_URL); a folder below the state by default."""

    collocated: bool = False
    """All three models in one process (COLLOCATED=1): less memory and CPU per request, one core for all of them."""

    log_format: str = ""
    """`json` writes every line as JSON; anything else is for people."""

    @property
    def releases(self) -> Path:
        """Releases, and the file that names the champion; the model servers watch it."""
        return self.state_dir.resolve() / "releases"

    @property
    def accounts(self) -> Path:
        """The demo accounts with their passwords, readable by their owner alone."""
        return self.state_dir.resolve() / "accounts.json"

    @property
    def store_url(self) -> str:
        """The object store; by default a folder named like the bucket of a cluster."""
        return self.given_store_url or f"file://{self.state_dir.resolve()}/store/product-classifier"
