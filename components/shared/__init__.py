"""Code shared by several steps."""
