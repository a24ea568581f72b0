"""Split the catalogue."""
