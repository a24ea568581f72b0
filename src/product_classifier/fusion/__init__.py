"""Fusion of text and image probabilities: model, fit and calibration."""
