"""Prediction and correction records, and which corrections are trusted."""
