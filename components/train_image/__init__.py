"""Train the image model."""
