"""Fusion of the text and image predictions: model, fit and calibration."""
