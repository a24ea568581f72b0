"""Read the raw files into a table of products."""
