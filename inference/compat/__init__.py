"""Uses of library internals, one module per library, each with version, reason and benefit."""
