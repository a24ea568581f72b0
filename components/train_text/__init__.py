"""Train the text model."""
