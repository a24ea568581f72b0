"""Names of the three models: InferenceServices, protocol routes and entries of the MLflow registry."""

from collections.abc import Mapping

TEXT = "text-predictor"
IMAGE = "image-predictor"
FUSION = "fusion-transformer"
MODELS = (TEXT, IMAGE, FUSION)

BY_BUNDLE: Mapping[str, str] = {"text": TEXT, "image": IMAGE, "fusion": FUSION}
"""Model name by the folder of its bundle in a release."""
