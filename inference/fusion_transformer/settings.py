"""Settings of the fusion transformer."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from product_classifier.model_names import IMAGE, TEXT


class Settings(BaseSettings):
    """Each field is the environment variable FUSION_<NAME>."""

    model_config = SettingsConfigDict(
        env_prefix="FUSION_", frozen=True, use_attribute_docstrings=True, env_ignore_empty=True
    )

    text_url: str = Field(default="http://text-predictor-predictor", pattern=r"^https?://[^/\s]+$")
    """Scheme, host and port of the text predictor."""

    image_url: str = Field(default="http://image-predictor-predictor", pattern=r"^https?://[^/\s]+$")
    """Scheme, host and port of the image predictor."""

    text_model: str = TEXT
    """Name of the text predictor in its routes."""

    image_model: str = IMAGE
    """Name of the image predictor in its routes."""

    deadline_s: float = Field(default=3.0, gt=0)
    """Seconds a predictor may take; after that the response is computed without it and marked degraded."""

    connections: int = Field(default=64, gt=0)
    """Connections to each predictor, at most; further requests wait for one."""

    canary_release: str = ""
    """Release that serves a share of the products; the champion serves them if it fails. Empty for none."""

    canary_share: float = Field(default=0.0, ge=0, le=1)
    """Share of the products that the canary serves."""

    shadow_release: str = ""
    """Release that predicts every product after the response, for comparison only. Empty for none."""

    shadow_waiting: int = Field(default=16, gt=0)
    """Comparisons with the shadow in progress at once; products above that are not compared."""

    challenger_deadline_s: float = Field(default=1.0, gt=0)
    """Seconds a predictor may take in a request for a canary or shadow."""
