"""Photos: what their headers declare, decoding and the image model."""
