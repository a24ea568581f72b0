"""Predictions, corrections and reviews as Parquet: `logs/dt=YYYY-MM-DD/part-000001.parquet`."""
