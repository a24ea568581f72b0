"""The image model as a KServe predictor."""
