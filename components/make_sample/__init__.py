"""Make a sample catalogue."""
