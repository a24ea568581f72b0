"""File descriptors of a process: connections leave enough for the store and the journal."""

import resource

MOST_DESCRIPTORS = 65_536
MOST_CONNECTIONS = 10_000
MOST_GRPC_CONNECTIONS = 1024
RESERVED_DESCRIPTORS = 512
"""Descriptors that connections of clients never use; half of all if there are fewer than twice as many."""


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one, to `MOST_DESCRIPTORS` at most; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return descriptor_limit()


def descriptor_limit() -> int:
    """Return how many files this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft


def most_connections(descriptors: int) -> int:
    """Return how many connections of clients leave the reserve, of this many descriptors."""
    return min(MOST_CONNECTIONS, max(1, descriptors - min(RESERVED_DESCRIPTORS, descriptors // 2)))


def most_grpc_connections(descriptors: int) -> int:
    """Return how many gRPC connections leave half of the reserve."""
    return min(MOST_GRPC_CONNECTIONS, max(1, (descriptors - most_connections(descriptors)) // 2))
