"""Frozen text encoders from packages, beside the hashed n-grams."""
