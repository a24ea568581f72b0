"""Raw files, catalogue rows, splits and merged corrections."""
