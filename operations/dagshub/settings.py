"""Settings of `make dagshub`."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

NAME = r"^[A-Za-z0-9._-]+$"


class Settings(BaseSettings):
    """A repository on DagsHub; a field's name in capitals is its environment variable."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True, extra="ignore", env_ignore_empty=True)

    owner: str = Field(pattern=NAME)
    """User or organization that the repository belongs to."""

    repo: str = Field(pattern=NAME)
    """Name of the repository."""

    dagshub_token: SecretStr
    """Token of an account that may write to it: https://dagshub.com/user/settings/tokens."""

    dagshub_url: str = Field(default="https://dagshub.com", pattern=r"^https?://[^/\s]+$")
    """Address of DagsHub."""

    state_dir: Path = Path(".run")
    """State folder of the local run, which names the deployed release."""

    @property
    def location(self) -> str:
        """URL of the repository, from which those of its services are made."""
        return f"{self.dagshub_url}/{self.owner}/{self.repo}"

    @property
    def variables(self) -> dict[str, str]:
        """Variables with which DVC and MLflow use the repository."""
        token = self.dagshub_token.get_secret_value()
        return {
            "AWS_ACCESS_KEY_ID": token,
            "AWS_SECRET_ACCESS_KEY": token,
            "MLFLOW_TRACKING_URI": f"{self.location}.mlflow",
            "MLFLOW_TRACKING_USERNAME": token,
            "MLFLOW_TRACKING_PASSWORD": token,
        }
