"""Local supervision, the demo and the cluster commands."""
