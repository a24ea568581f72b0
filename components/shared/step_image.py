"""Names of the images the steps run in.

A name travels in the compiled pipeline, so whoever compiles for a registry sets these in the environment; `make images`
builds the same names.
"""

import os

TAG = os.environ.get("IMAGE_TAG", "dev")

TRAINER = os.environ.get("TRAINER_IMAGE", f"product-classifier/trainer:{TAG}")
"""One image for every step: a cluster pulls it once, and face and step are of the same commit."""
