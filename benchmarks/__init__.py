"""Benchmarks: cost and quality of the product and its peers, measured in one run."""
