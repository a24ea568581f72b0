"""Benchmark rows, one module each: the metric, its peer and its goal."""
