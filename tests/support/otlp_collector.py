"""A small OTLP collector: receives traces as HTTP protobuf (opentelemetry-proto) on `/v1/traces`."""

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class ReceivedSpan:
    """A span as the collector received it; ids are in hexadecimal."""

    service: str
    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, str]


class OtlpCollector:
    """Keeps the spans that it receives."""

    def __init__(self) -> None:
        self.spans: list[ReceivedSpan] = []
        self._received = threading.Condition()

    def add(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self._received:
            for resource in request.resource_spans:
                names = {one.key: one.value.string_value for one in resource.resource.attributes}
                for scope in resource.scope_spans:
                    self.spans += [
                        ReceivedSpan(
                            names["service.name"], span.name, span.kind, span.trace_id.hex(), span.span_id.hex(),
                            span.parent_span_id.hex(),
                            {one.key: one.value.string_value or str(one.value.int_value) for one in span.attributes},
                        )
                        for span in scope.spans
                    ]  # fmt: skip
            self._received.notify_all()

    def wait_for(self, ready: Callable[[list[ReceivedSpan]], bool], within_s: float = 30) -> list[ReceivedSpan]:
        """Return the spans once `ready` is true of them; fail with them otherwise."""
        until = time.monotonic() + within_s
        with self._received:
            while not ready(self.spans):
                left = until - time.monotonic()
                assert left > 0, self.spans
                self._received.wait(left)
            return list(self.spans)


@contextmanager
def otlp_collector() -> Iterator[tuple[OtlpCollector, dict[str, str]]]:
    """Run a collector; yield it, and the standard variables that make a process export to it at once."""
    collector = OtlpCollector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces"
            assert self.headers["Content-Type"] == "application/x-protobuf"
            collector.add(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield collector, {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    finally:
        server.shutdown()
        server.server_close()
