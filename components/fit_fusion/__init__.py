"""Fit the fusion of both models."""
