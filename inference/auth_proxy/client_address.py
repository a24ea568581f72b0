"""Address and scheme of a client behind trusted proxies, from their `X-Forwarded-` headers."""

import ipaddress
from collections.abc import Iterable, Sequence

from starlette.types import Scope

MAX_HOPS = 16
"""Entries that are read, from the right; a client can send any number to the left of them."""
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def client_address(peer: str, headers: Iterable[tuple[bytes, bytes]], trusted: Sequence[Network]) -> str:
    """Return the address nearest to the gateway that is not a trusted proxy's.

    Each proxy appends the address it was connected from, so the header is read from right to left: what an untrusted
    client wrote is to the left of the address it has. The peer is returned if it is not a trusted proxy.
    """
    if not trusted:
        return peer
    found = _parse(peer)
    if found is None or not _is_trusted(found, trusted):
        return peer
    entries = b",".join(value for name, value in headers if name == b"x-forwarded-for").split(b",")
    for entry in reversed(entries[-MAX_HOPS:]):
        parsed = _parse(entry.decode("latin-1"))
        if parsed is None:
            break
        found = parsed
        if not _is_trusted(found, trusted):
            break
    return str(found)


def is_https(scope: Scope, trusted: Sequence[Network]) -> bool:
    """Return whether the client's connection is encrypted, up to a trusted proxy or up to the gateway."""
    peer = _parse((scope.get("client") or ("",))[0])
    if peer is not None and _is_trusted(peer, trusted):
        scheme = next((value for name, value in scope["headers"] if name == b"x-forwarded-proto"), b"")
        if scheme:
            return bool(scheme.lower() == b"https")
    return bool(scope["scheme"] == "https")


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in trusted)


def _parse(entry: str) -> Address | None:
    """Return the address of an entry, which may have brackets and a port; None if it is anything else."""
    text = entry.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
