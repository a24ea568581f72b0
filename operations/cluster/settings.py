"""What the person at the keyboard decides about a cluster."""

import subprocess

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The field's name in capitals is the variable; `make` passes its own on."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True, extra="ignore", env_ignore_empty=True)

    build: str = "docker build"
    """The command that builds an image; takes the options of `docker build` (BUILD)."""

    load: str = "kind load docker-image --name product-classifier"
    """The command that puts an image into the cluster's nodes (LOAD)."""

    cluster: str = "kind"
    """`existing`: work with the current context; anything else: a cluster made with kind (CLUSTER)."""

    overlay: str = "kind"
    """Which folder of manifests/overlays is applied (OVERLAY)."""

    tag: str = Field(default_factory=lambda: commit()[:12] or "dev")
    """Tag of the images that are built and deployed; the commit by default (TAG)."""

    torch_index: str = ""
    """Where the trainer's torch comes from, a CPU index for example; empty: from where the rest comes (TORCH_INDEX)."""

    timeout_s: float = Field(default=1800.0, gt=0)
    """How long a deployment may take until everything is ready (TIMEOUT_S)."""

    @property
    def is_existing(self) -> bool:
        return self.cluster == "existing"


def commit() -> str:
    """Return the commit of this checkout; nothing where it is none."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""
