"""Products nobody has seen, sent to a gateway as people would: `python -m inference.simulation`."""
