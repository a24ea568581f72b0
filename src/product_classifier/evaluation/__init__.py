"""Metrics, resampling and the promotion gate."""
