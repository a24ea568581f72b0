"""Evaluate the models on the hold-out."""
