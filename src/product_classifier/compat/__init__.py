"""The only modules that use internals of third-party libraries."""
