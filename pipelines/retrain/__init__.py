"""The retrain trigger."""
