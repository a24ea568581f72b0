"""Putting a release into service, and back."""
