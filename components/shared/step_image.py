"""Name of the image the steps run in, from the environment.

The name is part of the compiled pipeline: set IMAGE_TAG or TRAINER_IMAGE when compiling for a registry.
`make images` builds the same names.
"""

import os

TAG = os.environ.get("IMAGE_TAG", "dev")

TRAINER = os.environ.get("TRAINER_IMAGE", f"product-classifier/trainer:{TAG}")
"""One image for all steps, so that a cluster pulls it once and components and steps are of one commit."""
