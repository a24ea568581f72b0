"""Releases: three bundles served together, and their self-check."""
