"""Deploy releases, roll them back, and delete old ones."""
