"""Settings of the mirror."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings of the mirror; a field's name in capitals is its environment variable."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True, extra="ignore", env_ignore_empty=True)

    registry: str = Field(default="", pattern=r"^(.*/)?$")
    """Registry and prefix that images are copied to, with a slash at its end; empty: images are not copied."""

    package_folder: Path | None = None
    """Folder that becomes a package index; empty: packages are not copied."""

    copy_image: str = "crane copy"
    """Command that copies an image, given its source and its target."""

    image_digest: str = "crane digest"
    """Command that prints the digest of an image."""

    output: Path = Path("build/offline")
    """Folder of the list and of the manifests of the platform."""
