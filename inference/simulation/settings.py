"""What a simulation is asked to do."""

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The field's name in capitals is the variable; an option of the command line goes before it."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True, extra="ignore", env_ignore_empty=True)

    url: str = "http://127.0.0.1:8080"
    """The gateway."""

    rate: float = Field(default=10.0, gt=0, le=10_000)
    """Products per second on average; they arrive at random moments (Poisson)."""

    n: int = Field(default=0, ge=0)
    """How many products; 0 for each of them once, more than there are begins again."""

    correct: float = Field(default=0.0, ge=0, le=1)
    """Share of the wrong answers that people correct."""

    half: Literal["", "a", "b"] = ""
    """Only this half of the products; the two share neither a text nor a photo."""

    seed: int = Field(default=27, ge=0)
    """Of the order, the moments and who corrects what."""

    data_dir: str = "data"
    """Where `splits/unseen.parquet` and the photos in `raw/` are: a folder, or s3://bucket/prefix."""

    accounts: Path | None = None
    """File with `{name: {password, role}}`; that of the local run by default."""

    state_dir: Path = Path(".run")
    """Folder of the local run."""

    reports_dir: Path = Path("reports")
    """The report goes into `simulation/` there."""

    store_url: str = ""
    """Object store that gets the report too, file:///folder or s3://bucket."""

    timeout_s: float = Field(default=30.0, gt=0)
    """Seconds after which an answer is given up."""

    offline: Path | None = None
    """Folder of a release whose models answer here, in batches, in place of a gateway."""

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
    def _nobody_to_correct(self) -> Self:
        if self.offline and self.correct:
            raise ValueError("corrections need a gateway: offline and correct exclude each other")
        return self

    @property
    def accounts_file(self) -> Path:
        """Where the accounts are."""
        return self.accounts or self.state_dir / "accounts.json"
