"""The whole loop once, on the sample: `python -m operations.demo`, which is `make demo`."""
