"""Bring the corrections a run learns from out of the object store."""
