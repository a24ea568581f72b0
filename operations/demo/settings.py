"""How large a demonstration is."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

ELSEWHERE = (
    *("RAW", "RAW_URL", "STORE_URL", "MLFLOW_TRACKING_URI", "ROLLOUT_URL", "SERVICE_URL"),
    *("HALF", "N", "URL", "ACCOUNTS", "OFFLINE"),
)
"""Variables that would lead out of the demonstration's own folder, or replay something else."""


class Settings(BaseSettings):
    """The field's name in capitals is the variable."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True, extra="ignore", env_ignore_empty=True)

    demo_dir: Path = Path("build/demo")
    """Everything of the demonstration; kept at its end, made anew by the next one."""

    products: int = Field(default=3000, ge=300)
    """Size of the sample."""

    rate: float = Field(default=20.0, gt=0)
    """Products per second in the replays."""

    run_within_s: float = Field(default=1200.0, gt=0)
    """How long the retraining may take."""

    @property
    def needed(self) -> int:
        """How many corrections make a run due: well below the wrong answers about half of a new season."""
        return self.products // 55

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
        """Return what every process of the demonstration is told."""
        return {
            "STATE_DIR": str(self.state),
            "DATA_DIR": str(self.data),
            "PRODUCTS": str(self.products),
            "PORT": str(port),
            "RETRAIN_MIN_CORRECTIONS": str(self.needed),
        }
