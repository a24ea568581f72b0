"""Settings of the cluster commands."""

import subprocess

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings of the cluster commands; a field's name in capitals is its environment variable."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True, extra="ignore", env_ignore_empty=True)

    build: str = "docker build"
    """Command that builds an image; it accepts the options of `docker build`."""

    load: str = "kind load docker-image --name product-classifier"
    """Command that loads an image into the nodes of the cluster."""

    cluster: str = "kind"
    """`existing`: use the current context; any other value: a cluster created with kind."""

    overlay: str = "kind"
    """Folder of manifests/overlays that is applied."""

    tag: str = Field(default_factory=lambda: commit()[:12] or "dev")
    """Tag of the images that are built and deployed; the default is the commit, or `dev` outside a checkout."""

    torch_index: str = ""
    """Package index of the trainer's torch, for example one of CPU builds; empty: the index of all other packages."""

    registry: str = Field(default="", pattern=r"^(.*/)?$")
    """Registry and prefix of all images, with a slash at its end; empty: those that the manifests name."""

    python_image: str = ""
    """Image that the product's images are built on; empty: that of the Dockerfiles."""

    package_index: str = ""
    """Package index for the packages in the images, a URL; empty: the public one."""

    timeout_s: float = Field(default=1800.0, gt=0)
    """Seconds until everything of a deployment must be ready."""

    @property
    def is_existing(self) -> bool:
        return self.cluster == "existing"


def commit() -> str:
    """Return the commit of this checkout; an empty string outside one."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""
