"""Traces by OpenTelemetry: off by default, configured by the standard `OTEL_*` variables.

    configure_tracing("auth-proxy")                # in main(); does nothing unless an endpoint is set
    with span("POST /predict", "server"):          # a child of the trace context of the request
        ...

While a span is open it is the trace context of its task (`observability.traceparent`): log lines, problems
and requests to other services carry its ids. While tracing is off, `span` returns one shared object that does nothing,
and the SDK is not imported.
"""

import hashlib
import os
from collections.abc import Mapping
from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, Self

from product_classifier.observability import traceparent

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, Tracer

Kind = Literal["internal", "server", "client", "producer"]
Attribute = str | int | float | bool
ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
SERVER_ERRORS: Final = 500


class OpenSpan(Protocol):
    """A span to be used as a context manager; an exception that leaves it is recorded."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def set(self, name: str, value: Attribute) -> None:
        """Set an attribute."""

    def set_status(self, status: int) -> None:
        """Set the HTTP status of the response; 500 and more is an error of the span."""

    def rename(self, name: str) -> None:
        """Set the name, for example once the route is known."""


class _Off:
    """The span of a process that does not trace."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""

    def set(self, name: str, value: Attribute) -> None:
        """Do nothing."""

    def set_status(self, status: int) -> None:
        """Do nothing."""

    def rename(self, name: str) -> None:
        """Do nothing."""


_OFF: Final = _Off()
_tracer: "Tracer | None" = None


def is_configured(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether the standard variables turn traces on: an endpoint is set, nothing disables it."""
    off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    exporters = environment.get("OTEL_TRACES_EXPORTER", "otlp")
    return exporters == "otlp" and not off and any(environment.get(name) for name in ENDPOINTS)


def configure_tracing(service: str) -> "TracerProvider | None":
    """Start to trace if the standard variables say so; a thread exports the spans in batches.

    Args:
        service: `service.name` of the spans, unless `OTEL_SERVICE_NAME` is set.

    Returns:
        The provider, whose `shutdown` exports what is left (it also runs at exit); None while tracing is off.
    """
    if not is_configured():
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - see above
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    global _tracer  # noqa: PLW0603 - one tracer per process, as logging is configured once
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: service}
    provider = TracerProvider(resource=Resource.create(named))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _tracer = provider.get_tracer("product_classifier")
    return provider


def stop_tracing() -> None:
    """Turn tracing off in this process."""
    global _tracer  # noqa: PLW0603 - as above
    _tracer = None


def span(name: str, kind: Kind = "internal", **attributes: Attribute) -> OpenSpan:
    """Return a span below the trace context of the task; `__` in an attribute's name stands for a dot."""
    return _OFF if _tracer is None else _Recorded(_tracer, name, kind, attributes, traceparent.get())


def run_span(name: str, run_id: str, **attributes: Attribute) -> OpenSpan:
    """Return a span in the trace of a retraining run.

    The ids of that trace are derived from the id of the run: the trigger and every step, wherever it runs, write to one
    trace without passing a context on.
    """
    if _tracer is None:
        return _OFF
    return _Recorded(_tracer, name, "internal", {"run_id": run_id, **attributes}, run_traceparent(run_id))


def run_traceparent(run_id: str) -> str:
    """Return the trace context of a retraining run, which is always sampled."""
    digest = hashlib.sha256(run_id.encode()).hexdigest()
    return f"00-{digest[:32]}-{digest[32:48]}-01"


class _Recorded:
    """A span of the SDK that is the trace context of the task while it is open."""

    __slots__ = ("_attributes", "_kind", "_name", "_parent", "_span", "_token", "_tracer")

    def __init__(self, tracer: "Tracer", name: str, kind: Kind, attributes: dict[str, Attribute], parent: str) -> None:
        self._tracer = tracer
        self._name = name
        self._kind = kind
        self._attributes = attributes
        self._parent = parent
        self._span: Span
        self._token: Token[str]

    def __enter__(self) -> Self:
        from opentelemetry.trace import SpanKind  # noqa: PLC0415 - imported by configure_tracing

        attributes: Any = {name.replace("__", "."): value for name, value in self._attributes.items()}
        self._span = self._tracer.start_span(
            self._name, _context(self._parent), SpanKind[self._kind.upper()], attributes
        )
        found = self._span.get_span_context()
        self._token = traceparent.set(f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            self._fail(f"{type(error).__name__}: {error}")
        self._span.end()
        traceparent.reset(self._token)

    def set(self, name: str, value: Attribute) -> None:
        """Set an attribute."""
        self._span.set_attribute(name, value)

    def set_status(self, status: int) -> None:
        """Set the HTTP status of the response; 500 and more is an error of the span."""
        self._span.set_attribute("http.response.status_code", status)
        if status >= SERVER_ERRORS:
            self._fail(str(status))

    def rename(self, name: str) -> None:
        """Set the name, for example once the route is known."""
        self._span.update_name(name)

    def _fail(self, reason: str) -> None:
        from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - imported by configure_tracing

        self._span.set_status(Status(StatusCode.ERROR, reason[:300]))


def _context(parent: str) -> Any:
    """Return the SDK's context with a remote parent; empty without one, so that a new trace begins."""
    from opentelemetry.context import Context  # noqa: PLC0415 - imported by configure_tracing
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context  # noqa: PLC0415

    if not parent:
        return Context()
    _, trace_id, span_id, flags = parent.split("-")[:4]
    found = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))
    return set_span_in_context(NonRecordingSpan(found), Context())
