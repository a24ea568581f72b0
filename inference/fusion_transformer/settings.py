"""What the deployment decides about the fusion transformer."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Each field is FUSION_<NAME> in the environment."""

    model_config = SettingsConfigDict(
        env_prefix="FUSION_", frozen=True, use_attribute_docstrings=True, env_ignore_empty=True
    )

    text_url: str = Field(default="http://text-predictor-predictor", pattern=r"^https?://[^/\s]+$")
    """Where the text predictor answers: scheme, host and port."""

    image_url: str = Field(default="http://image-predictor-predictor", pattern=r"^https?://[^/\s]+$")
    """Where the image predictor answers: scheme, host and port."""

    text_model: str = "text-predictor"
    """The text predictor's name on its routes."""

    image_model: str = "image-predictor"
    """The image predictor's name on its routes."""

    deadline_s: float = Field(default=3.0, gt=0)
    """How long a predictor may take before the answer is given without it."""

    connections: int = Field(default=64, gt=0)
    """Connections kept to each predictor."""

    canary_release: str = ""
    """A release that answers for a share of the products; the one in service answers when it cannot."""

    canary_share: float = Field(default=0.0, ge=0, le=1)
    """Which share."""

    shadow_release: str = ""
    """A release that is asked about every product too, and only compared."""

    shadow_waiting: int = Field(default=16, gt=0)
    """Questions to the shadow that may be under way; more are left out."""

    challenger_deadline_s: float = Field(default=1.0, gt=0)
    """How long a predictor may take on behalf of a challenger."""
