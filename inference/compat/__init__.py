"""Every use of a library internal, one module per library."""
