"""Prometheus metrics of the product: definitions, and the instruments made of them."""
