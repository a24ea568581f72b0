"""Adapters to internals of libraries, one module per library."""
