"""Offers to upgrade a connection (RFC 9110, section 7.8), which every server of this product ignores.

Java's HttpClient offers h2c with its first request. llhttp, the parser of httptools, ends such a request after its head
and takes what follows for another protocol, so that the body is lost.
"""

from collections.abc import Iterable

import httptools

OFFER_HEADERS = frozenset({b"upgrade", b"http2-settings"})
CONNECTION = b"connection"


def head_without_offer(method: bytes, target: bytes, version: str, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the head of a request without its offer to upgrade.

    Args:
        method: Request method.
        target: Request target.
        version: HTTP version, such as "1.1".
        headers: Parsed headers, their names in lower case.

    Raises:
        HttpParserError: For CONNECT, which is no offer but a tunnel, and a header with a line break.
    """
    if method == b"CONNECT":
        raise httptools.HttpParserError("CONNECT is not supported")
    lines = [b"%s %s HTTP/%s" % (method, target, version.encode())]
    for name, value in headers:
        if b"\r" in value or b"\n" in value:
            raise httptools.HttpParserError("a header value has a line break")
        if name == CONNECTION:
            options = [option.strip() for option in value.split(b",")]
            value = b", ".join(option for option in options if option and option.lower() not in OFFER_HEADERS)  # noqa: PLW2901
        if name not in OFFER_HEADERS and (value or name != CONNECTION):
            lines.append(b"%s: %s" % (name, value))
    return b"\r\n".join([*lines, b"", b""])
