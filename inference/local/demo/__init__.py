"""The whole loop once, on the sample: `python -m inference.local.demo`, which is `make demo`."""
