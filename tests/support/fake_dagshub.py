"""A stand-in for DagsHub: its API, the S3 protocol of its DVC remote, an MLflow that lacks routes."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

TOKEN = "token-of-the-account"
OWNER, REPO = "team", "shop"


@dataclass
class FakeDagsHub:
    """Objects of the remote, and the requests to MLflow."""

    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    mlflow: list[str] = field(default_factory=list)


@contextmanager
def fake_dagshub() -> Iterator[FakeDagsHub]:
    """Serve one repository on a free port."""
    hub = FakeDagsHub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_request(self) -> None:
            self.body = self.rfile.read(int(self.headers.get("content-length") or 0))
            url = urlsplit(self.path)
            path = unquote(url.path)
            if path.startswith("/api/v1/repos/"):
                self._describe(path)
            elif path.startswith(f"/{OWNER}/{REPO}.s3/"):
                self._store(path.removeprefix(f"/{OWNER}/{REPO}.s3/"), parse_qs(url.query))
            elif path.startswith(f"/{OWNER}/{REPO}.mlflow/"):
                self._track(path.removeprefix(f"/{OWNER}/{REPO}.mlflow/"))
            else:
                self._respond(404)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = handle_request  # noqa: N815 - names of http.server

        def _describe(self, path: str) -> None:
            if self.headers.get("authorization") != f"Bearer {TOKEN}":
                self._respond(401)
            elif path != f"/api/v1/repos/{OWNER}/{REPO}":
                self._respond(404)
            else:
                self._respond(200, json.dumps({"full_name": f"{OWNER}/{REPO}"}).encode())

        def _store(self, path: str, query: dict[str, list[str]]) -> None:
            if f"Credential={TOKEN}/" not in self.headers.get("authorization", ""):
                self._respond(403, b"<Error><Code>AccessDenied</Code></Error>")
                return
            _, _, key = path.partition("/")
            if self.command == "PUT":
                hub.objects[key] = _unchunked(self.body, self.headers.get("x-amz-content-sha256", ""))
                self._respond(200, etag=hashlib.md5(hub.objects[key]).hexdigest())
            elif not key:
                self._list(query.get("prefix", [""])[0])
            elif key in hub.objects:
                self._respond(200, hub.objects[key], etag=hashlib.md5(hub.objects[key]).hexdigest())
            else:
                self._respond(404, b"<Error><Code>NoSuchKey</Code></Error>")

        def _list(self, prefix: str) -> None:
            entries = "".join(
                f"<Contents><Key>{escape(key)}</Key><Size>{len(data)}</Size><ETag>e</ETag>"
                "<LastModified>2026-01-01T00:00:00Z</LastModified></Contents>"
                for key, data in sorted(hub.objects.items())
                if key.startswith(prefix)
            )
            self._respond(
                200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>".encode()
            )

        def _track(self, path: str) -> None:
            expected = base64.b64encode(f"{TOKEN}:{TOKEN}".encode()).decode()
            hub.mlflow.append(path)
            if self.headers.get("authorization") != f"Basic {expected}":
                self._respond(401, b'{"error_code": "UNAUTHENTICATED", "message": "no account"}')
            elif path.endswith("experiments/search"):
                self._respond(200, b'{"experiments": []}')
            elif path.endswith("experiments/get-by-name"):
                self._respond(200, b'{"experiment": {"experiment_id": "1", "name": "product-classifier"}}')
            else:
                self._respond(404, b"<html>404 page not found</html>")  # a route that its MLflow does not have

        def _respond(self, status: int, content: bytes = b"", etag: str = "") -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            if etag:
                self.send_header("etag", f'"{etag}"')
                self.send_header("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        hub.url = f"http://127.0.0.1:{server.server_port}"
        yield hub
        server.shutdown()


def _unchunked(body: bytes, kind: str) -> bytes:
    """Return the content of a body that is sent in signed or checksummed chunks."""
    if not kind.startswith("STREAMING"):
        return body
    content, rest = b"", body
    while found := re.match(rb"([0-9a-fA-F]+)[^\r]*\r\n", rest):
        size = int(found[1], 16)
        content += rest[found.end() : found.end() + size]
        rest = rest[found.end() + size + 2 :]
        if size == 0:
            break
    return content
