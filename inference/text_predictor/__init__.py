"""The text model as a KServe predictor."""
