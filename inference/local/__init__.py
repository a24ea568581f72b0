"""Every service on one machine: `python -m inference.local`, which is what `make run` starts."""
