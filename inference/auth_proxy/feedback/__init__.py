"""Routes that are forwarded to the feedback service."""
