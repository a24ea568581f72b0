"""Drift of the predictions in production: windows, measures, reference profiles and actions."""
