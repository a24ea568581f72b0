"""Code shared by several steps; it imports no step."""
