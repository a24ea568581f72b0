"""Settings of `make compose`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from operations.cluster.settings import commit


class Settings(BaseSettings):
    """Settings of a deployment by compose; a field's name in capitals is its environment variable."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True, extra="ignore", env_ignore_empty=True)

    state: Path = Path(".compose")
    """Folder of the secrets and of everything the services store; it survives `docker compose down`."""

    profiles: str = "minio"
    """Profiles of docker/compose.yaml: minio or seaweedfs, and any of monitoring and simulation, joined by commas."""

    address: str = "127.0.0.1"
    """Address of the host on which the gateway is published; 0.0.0.0 for all."""

    port: int = Field(default=8080, ge=1, le=65535)
    """Port of the host on which the gateway is published."""

    root_path: str = ""
    """Path under which a proxy in front publishes the gateway, such as /shop/classifier; the proxy removes it."""

    registry: str = Field(default="", pattern=r"^(.*/)?$")
    """Registry and prefix of the product's images, with a slash at its end; empty: images built on this host."""

    tag: str = Field(default_factory=lambda: commit()[:12] or "dev")
    """Tag of the images."""

    build: str = "docker build"
    """Command that builds an image, used without REGISTRY."""

    torch_index: str = ""
    """Package index of the trainer's torch, for example one of CPU builds; empty: the index of all other packages."""

    timeout_s: float = Field(default=1800.0, gt=0)
    """Seconds until a release must be served, the first training included."""

    compose: str = "docker compose"
    """Command that reads compose files."""
