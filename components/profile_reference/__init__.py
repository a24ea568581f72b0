"""Measure the products a release was trained on, as the reference of monitoring."""
