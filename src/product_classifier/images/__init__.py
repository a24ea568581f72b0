"""Photos: header validation, decoding and the image model."""
