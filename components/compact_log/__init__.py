"""Compact predictions, corrections and reviews into the prediction log."""
