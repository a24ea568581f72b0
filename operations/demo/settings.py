"""Settings of the demo."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

EXCLUDED_VARIABLES = (
    *("RAW", "CATALOGUE", "RAW_URL", "STORE_URL", "MLFLOW_TRACKING_URI", "ROLLOUT_URL", "SERVICE_URL"),
    *("HALF", "N", "URL", "ACCOUNTS", "OFFLINE"),
)
"""Variables that the demo's processes do not inherit: they point outside its folder or change the replay."""

NEVER = 1_000_000_000
"""Corrections that trigger a run of another catalogue: the demo requests it once all are submitted."""
TRIGGER_SHARE = 55
"""One correction per so many products triggers a run: well below the errors in half of a new season."""


class Settings(BaseSettings):
    """Settings of the demo; a field's name in capitals is its environment variable."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True, extra="ignore", env_ignore_empty=True)

    demo_dir: Path = Path("build/demo")
    """Folder of everything the demo writes; emptied by the next demo."""

    products: int = Field(default=3000, ge=300)
    """Size of the sample, in products."""

    raw: Path | None = None
    """Folder of another catalogue instead of a sample; a run is started whatever the number of corrections."""

    catalogue: Path | None = None
    """Layout of the files in RAW; by default `catalogue.yaml` beside them."""

    rate: float = Field(default=20.0, gt=0)
    """Products per second in the replays."""

    run_within_s: float = Field(default=1200.0, gt=0)
    """Seconds the retraining run may take."""

    @property
    def min_corrections(self) -> int:
        """How many corrections are needed for a run; the errors in another catalogue are not known before."""
        return self.products // TRIGGER_SHARE if self.raw is None else 1

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
        found = {
            "STATE_DIR": str(self.state),
            "DATA_DIR": str(self.data),
            "PORT": str(port),
            "RETRAIN_MIN_CORRECTIONS": str(self.min_corrections if self.raw is None else NEVER),
        }
        if self.raw is None:
            return found | {"PRODUCTS": str(self.products)}
        layout = {} if self.catalogue is None else {"CATALOGUE": str(self.catalogue.resolve())}
        return found | {"RAW": str(self.raw.resolve())} | layout
