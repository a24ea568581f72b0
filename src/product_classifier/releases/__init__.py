"""Releases: three bundles that are served together, and their self-check."""
