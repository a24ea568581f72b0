"""Open Inference Protocol: types and codecs."""
