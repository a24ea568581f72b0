"""Train a pretrained network: one loop for texts and photos, in one process or in several of torchrun."""
