"""Settings of the demo."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

EXCLUDED_VARIABLES = (
    *("RAW", "RAW_URL", "STORE_URL", "MLFLOW_TRACKING_URI", "ROLLOUT_URL", "SERVICE_URL"),
    *("HALF", "N", "URL", "ACCOUNTS", "OFFLINE"),
)
"""Variables that the demo's processes do not inherit: they point outside its folder or change the replay."""

TRIGGER_SHARE = 55
"""One correction per so many products triggers a run: well below the errors in half of a new season."""


class Settings(BaseSettings):
    """Settings of the demo; a field's name in capitals is its environment variable."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True, extra="ignore", env_ignore_empty=True)

    demo_dir: Path = Path("build/demo")
    """Folder of everything the demo writes; emptied by the next demo."""

    products: int = Field(default=3000, ge=300)
    """Size of the sample, in products."""

    rate: float = Field(default=20.0, gt=0)
    """Products per second in the replays."""

    run_within_s: float = Field(default=1200.0, gt=0)
    """Seconds the retraining run may take."""

    @property
    def min_corrections(self) -> int:
        """How many corrections trigger a run."""
        return self.products // TRIGGER_SHARE

    @property
    def state(self) -> Path:
        """The state folder of the local run."""
        return self.demo_dir.resolve() / "state"

    @property
    def accounts(self) -> Path:
        """The accounts of the local run."""
        return self.state / "accounts.json"

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.demo_dir.resolve() / "data"

    def environment(self, port: int) -> dict[str, str]:
        """Return the environment variables of the demo's processes."""
        return {
            "STATE_DIR": str(self.state),
            "DATA_DIR": str(self.data),
            "PRODUCTS": str(self.products),
            "PORT": str(port),
            "RETRAIN_MIN_CORRECTIONS": str(self.min_corrections),
        }
