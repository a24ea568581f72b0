"""Judge a new release and the one in service on the same products."""
