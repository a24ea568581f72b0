"""Every service on one machine: `python -m operations.local`, which `make run` starts."""
