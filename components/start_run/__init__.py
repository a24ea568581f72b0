"""Take ownership of a run before any other step of it."""
