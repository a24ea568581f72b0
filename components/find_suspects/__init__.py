"""List the training labels that are probably wrong."""
