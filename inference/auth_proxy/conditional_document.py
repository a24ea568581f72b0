"""A response with an entity tag, which is not sent again to a client that has it."""

import hashlib
from collections.abc import Mapping

from starlette.types import Scope, Send


class ConditionalDocument:
    """The content of a response with its headers; its entity tag is a hash of the content."""

    def __init__(
        self,
        content: bytes,
        media_type: str,
        headers: Mapping[str, str] | None = None,
        *,
        cache_control: str = "no-cache",
    ) -> None:
        """Take the content, its media type and further headers; by default caches ask before each use."""
        self.content = content
        self._etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'.encode()
        self._cached = [
            (b"cache-control", cache_control.encode()),
            (b"etag", self._etag),
            *((name.encode(), value.encode()) for name, value in (headers or {}).items()),
        ]
        self._headers = [
            (b"content-type", media_type.encode()),
            (b"content-length", b"%d" % len(content)),
            *self._cached,
        ]

    async def respond(self, scope: Scope, send: Send) -> None:
        """Respond with the content, or with 304 to a client that has it (RFC 9110, section 13.1.2)."""
        known = dict(scope["headers"]).get(b"if-none-match", b"")
        if known.strip() == b"*" or self._etag in known:
            await send({"type": "http.response.start", "status": 304, "headers": [*self._cached]})
            await send({"type": "http.response.body", "body": b""})
            return
        await send({"type": "http.response.start", "status": 200, "headers": [*self._headers]})
        await send({"type": "http.response.body", "body": self.content})
