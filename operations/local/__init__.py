"""Every service on one machine: `python -m operations.local`, which is what `make run` starts."""
