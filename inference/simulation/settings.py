"""Settings of a simulation."""

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Each field is an environment variable of its name in capitals; an option takes precedence."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True, extra="ignore", env_ignore_empty=True)

    url: str = "http://127.0.0.1:8080"
    """URL of the gateway."""

    rate: float = Field(default=10.0, gt=0, le=10_000)
    """Mean number of products per second; arrivals are a Poisson process."""

    n: int = Field(default=0, ge=0)
    """Number of products; 0 for each once, more than there are start again."""

    correct: float = Field(default=0.0, ge=0, le=1)
    """Share of wrong predictions that simulated users correct."""

    half: Literal["", "a", "b"] = ""
    """Half of the products to use, empty for all; the halves share neither a text nor a photo."""

    seed: int = Field(default=27, ge=0)
    """Seed of the order, the arrival times and the corrections."""

    data_dir: str = "data"
    """Folder or `s3://bucket/prefix` with `splits/unseen.parquet` and the photos in `raw/`."""

    accounts: Path | None = None
    """JSON file with `{name: {password, role}}`; by default that of the local run."""

    token_file: Path | None = None
    """File with a token of an external issuer, sent instead of logins; read again every minute."""

    state_dir: Path = Path(".run")
    """State folder of the local run, which has `accounts.json`."""

    reports_dir: Path = Path("reports")
    """Folder of reports; this one is written to its subfolder `simulation`."""

    store_url: str = ""
    """Object store that the report is also written to, `file:///folder` or `s3://bucket`."""

    timeout_s: float = Field(default=30.0, gt=0)
    """Time limit of a request in seconds."""

    offline: Path | None = None
    """Folder of a release that predicts in this process, in batches, instead of a gateway."""

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query:
            raise ValueError("must be http://host[:port] or https://host[:port]")
        return url.rstrip("/")

    @field_validator("store_url")
    @classmethod
    def _store(cls, url: str) -> str:
        if url and not url.startswith(("file:///", "s3://")):
            raise ValueError("must be file:///folder or s3://bucket")
        return url

    @model_validator(mode="after")
    def _corrections_need_a_gateway(self) -> Self:
        if self.offline and self.correct:
            raise ValueError("corrections need a gateway: offline and correct exclude each other")
        if self.token_file and self.correct:
            raise ValueError("corrections by one token never become trusted; give accounts instead, or correct=0")
        return self

    @property
    def accounts_file(self) -> Path:
        """The file with the accounts."""
        return self.accounts or self.state_dir / "accounts.json"
