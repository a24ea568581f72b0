"""Requests of `GET /photos/{sha256}`."""

from enum import IntEnum

from pydantic import BaseModel, ConfigDict, Field

SHA256 = r"[0-9a-f]{64}"
"""Hash of a photo in the path."""
PHOTO_MEDIA_TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WebP": "image/webp", "AVIF": "image/avif"}


class ThumbnailSize(IntEnum):
    """Longer side of a thumbnail in pixels; few sizes, so that caches hold them."""

    SMALL = 96
    MEDIUM = 320
    LARGE = 800


class PhotoParameters(BaseModel):
    """Query parameters of `GET /photos/{sha256}`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: ThumbnailSize | None = Field(
        default=None,
        description="Longer side in pixels of a JPEG made of the photo; the photo as it was sent without it.",
    )
