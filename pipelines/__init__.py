"""The training pipeline: described, compiled, run here, or submitted to a cluster."""
