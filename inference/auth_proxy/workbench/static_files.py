"""Handlers of the files that a browser loads.

`static/` has ES modules, custom elements and style sheets, one folder per feature, which browsers load as they are:
there is no build step.
"""

import gzip
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.types import Receive, Scope, Send

from inference.auth_proxy.collaborators import GatewayDependencies
from inference.auth_proxy.conditional_document import ConditionalDocument
from inference.auth_proxy.context import context_of
from inference.auth_proxy.routing import Handler
from inference.http.problems import Problem

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self';"
    " form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
MEDIA_TYPES = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
MIN_COMPRESSED = 1024
"""Bytes of a file from which compression saves a packet."""


class StaticFile:
    """A file with its compressed form, which has its own entity tag (RFC 9110, section 8.8.3.3)."""

    def __init__(self, file: Traversable) -> None:
        self._content = file.read_bytes()
        self._media_type = f"{MEDIA_TYPES[file.name.rpartition('.')[2]]}; charset=utf-8"
        self._headers = {"content-security-policy": CONTENT_SECURITY_POLICY, "vary": "accept-encoding"}
        self._plain = ConditionalDocument(self._content, self._media_type, self._headers)

    @cached_property
    def _compressed(self) -> ConditionalDocument:
        headers = {**self._headers, "content-encoding": "gzip"}
        return ConditionalDocument(gzip.compress(self._content, mtime=0), self._media_type, headers)

    async def respond(self, scope: Scope, send: Send) -> None:
        """Respond with the file, compressed for clients that accept it."""
        is_accepted = b"gzip" in dict(scope["headers"]).get(b"accept-encoding", b"")
        is_compressed = is_accepted and len(self._content) >= MIN_COMPRESSED
        await (self._compressed if is_compressed else self._plain).respond(scope, send)


@cache
def workbench_files() -> Mapping[str, StaticFile]:
    """Return the files of the workbench by their path below `static/`."""
    return {name: StaticFile(file) for name, file in _walk(files("inference.auth_proxy.workbench") / "static", "")}


def page(name: str) -> Handler:
    """Return the handler of one file of the workbench."""
    return file_handler(files("inference.auth_proxy.workbench") / "static" / name)


def file_handler(file: Traversable) -> Handler:
    """Return the handler of a file, which is read once."""
    static_file = StaticFile(file)

    async def handler(_: GatewayDependencies, scope: Scope, __: Receive, send: Send) -> None:
        await static_file.respond(scope, send)

    return handler


async def workbench_file(_: GatewayDependencies, scope: Scope, __: Receive, send: Send) -> None:
    """Respond with the file that the path names; raise a 404 problem if there is none."""
    name = context_of(scope).parameters["file"]
    file = workbench_files().get(name)
    if file is None:
        raise Problem(404, f"the workbench has no file {name!r}; reload the page")
    await file.respond(scope, send)


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry
