"""Publish and register a release."""
