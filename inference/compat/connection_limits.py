"""Bounds on the connections of a server, in all and of one address."""

import heapq
import ipaddress
from collections.abc import Iterable
from typing import Protocol

from product_classifier.descriptors import descriptor_limit, most_connections

REFUSALS = 64
"""Refused connections that stay open, a few seconds at most, until the client has read why."""


class LimitedConnection(Protocol):
    """A connection that is counted."""

    @property
    def address(self) -> str:
        """IP address of the client; empty if the connection has none."""

    @property
    def idle_since(self) -> float | None:
        """Time of the event loop since when no request is in progress; None if one is."""

    def evict(self) -> None:
        """Close an idle connection in favor of another one."""


class ConnectionLimits:
    """Bounds on the connections of one server; for one event loop.

    At a bound the longest idle connection is closed for the new one: of the same address at the bound of an address,
    else of the address with most connections. Without an idle one the new connection is refused.
    """

    def __init__(self, total: int, per_address: int | None = None, trusted: Iterable[str] = ()) -> None:
        """Take the most connections in all and per address; `trusted` are networks without a bound per address."""
        self._total = total
        self._per_address = min(per_address, max(1, total * 3 // 4)) if per_address else total + 1
        self._trusted = [ipaddress.ip_network(network) for network in trusted]
        self._by_address: dict[str, set[LimitedConnection]] = {}
        self._count = 0

    def admit(self, connection: LimitedConnection) -> str | None:
        """Count a connection; return why it is refused, None if it is not."""
        address = connection.address
        peers = self._by_address.setdefault(address, set())
        reason = None
        if len(peers) >= self._per_address and not self._is_trusted(address):
            if not _close_longest_idle(peers):
                reason = f"more than {self._per_address} connections from one address are busy; try again in a second"
        elif self._count >= self._total and not (
            _close_longest_idle(max(self._by_address.values(), key=len))
            or any(_close_longest_idle(others) for others in self._by_address.values())
        ):
            reason = f"more than {self._total} connections are busy; try again in a second"
        peers.add(connection)
        self._count += 1
        return reason

    def release(self, connection: LimitedConnection) -> None:
        """Stop counting a connection."""
        peers = self._by_address.get(connection.address, set())
        if connection in peers:
            peers.remove(connection)
            self._count -= 1
        if not peers:
            self._by_address.pop(connection.address, None)

    def has_room_to_refuse(self) -> bool:
        """Return whether a refused connection may wait until its client has read the reason."""
        return self._count <= self._total + REFUSALS

    def _is_trusted(self, address: str) -> bool:
        return any(ipaddress.ip_address(address) in network for network in self._trusted) if address else True


def _close_longest_idle(connections: set[LimitedConnection]) -> bool:
    """Close the longest idle 2 % of these connections, at least one, so that few connections scan all others."""
    idle = [(since, id(one), one) for one in connections if (since := one.idle_since) is not None]
    for _, _, one in heapq.nsmallest(len(connections) // 50 or 1, idle):
        one.evict()
    return bool(idle)


def process_limits(per_address: int | None = None, trusted: Iterable[str] = ()) -> ConnectionLimits:
    """Return limits that leave descriptors of this process for its files and the services it connects to."""
    return ConnectionLimits(most_connections(descriptor_limit()), per_address, trusted)
