"""What the deployment decides about the fusion transformer."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Each field is FUSION_<NAME> in the environment."""

    model_config = SettingsConfigDict(env_prefix="FUSION_", frozen=True, use_attribute_docstrings=True)

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
