"""Settings of a local run."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from product_classifier.store import default_store_url


class Settings(BaseSettings):
    """Settings of a local run; a field's name in capitals is its environment variable."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True, env_ignore_empty=True)

    port: int = Field(default=8080, ge=1, le=65_500)
    """Port of the gateway; the other services use the ports from +1 to +16."""

    state_dir: Path = Path(".run")
    """Folder of everything a run stores: users, keys, releases, object store, logs."""

    given_store_url: str = Field(default="", validation_alias="STORE_URL")
    """Object store, `file:///folder` or `s3://bucket`; empty: a folder below the state folder."""

    collocated: bool = False
    """Run all three models in one process: less memory and CPU per request, one core for all of them."""

    release: str = ""
    """Release that was trained elsewhere, to serve without training: its folder, `file:///folder` or
    `s3://bucket/prefix`; empty: the champion, or a first training."""

    raw: Path | None = None
    """Folder of the catalogue to serve; each catalogue has its own releases and corrections. By default the
    catalogue that was served last."""

    catalogue: Path | None = None
    """Layout of the files in RAW; by default `catalogue.yaml` beside them."""

    data_dir: Path = Path("data")
    """Folder for prepared data."""

    log_format: str = ""
    """`json` writes every line as JSON; any other value writes text."""

    @property
    def releases(self) -> Path:
        """Folder of the releases and of the file that names the champion; the model servers watch it."""
        return self.state_dir.resolve() / "releases"

    @property
    def accounts(self) -> Path:
        """File of the demo accounts with their passwords, readable by its owner only."""
        return self.state_dir.resolve() / "accounts.json"

    @property
    def store_url(self) -> str:
        """URL of the object store; the default is a folder with the name of a cluster's bucket."""
        return self.given_store_url or default_store_url(self.state_dir)
