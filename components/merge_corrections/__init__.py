"""Merge trusted corrections into the training split."""
