"""Raw files, products, splits and merged corrections."""
