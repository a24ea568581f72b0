"""The taxonomy in the object store and the change files that are applied to it."""
