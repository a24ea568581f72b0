"""Paths as clients see them, where a proxy removes a prefix from those of requests."""

from contextvars import ContextVar

PREFIX_HEADER = "X-Forwarded-Prefix"
"""Sent by the gateway to the feedback service, with the prefix."""
_prefix: ContextVar[str] = ContextVar("public_path_prefix", default="")


def set_public_prefix(prefix: str) -> None:
    """Set the prefix for the current request."""
    _prefix.set(prefix)


def public_path(path: str) -> str:
    """Return the path under which clients see a route of the gateway."""
    return _prefix.get() + path
