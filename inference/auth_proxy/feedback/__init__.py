"""Routes that the feedback service answers."""
