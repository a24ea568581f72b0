"""The whole loop once, on a sample: `python -m operations.demo`, which `make demo` starts."""
