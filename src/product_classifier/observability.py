"""Structured logging: one line per event, with service name and request id.

`LOG_FORMAT=json` selects JSON, anything else `key=value` pairs; `LOG_LEVEL` is a level name of `logging`. Bodies,
photos, tokens and passwords are redacted. Logging never waits for the reader of the log (`log_stream.py`).
"""

import logging
import os
import re
import sys
import traceback
import uuid
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO, cast

import orjson

sys.modules.setdefault("rich", None)  # type: ignore[arg-type]  # structlog imports it for tracebacks in color: 0.1 s CPU
import structlog  # noqa: E402
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger  # noqa: E402

from product_classifier.log_stream import LogStream  # noqa: E402

if sys.modules["rich"] is None:
    del sys.modules["rich"]  # others may import it

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Id of the current request, added to every event of its task."""

traceparent: ContextVar[str] = ContextVar("traceparent", default="")
"""Trace context of the current request (W3C Trace Context, section 3.2), passed on to the services behind."""

_TRACEPARENT = re.compile(
    r"(?:00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    r"|(?!00|ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[!-~]{0,200})?)"
)
"""Version 00 exactly; a later version may have more after another dash."""
_TRACE_ID = slice(3, 35)
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_SECRETS = frozenset({"authorization", "cookie", "password", "secret", "token", "image", "payload", "body"})
_MAX_VALUE_CHARACTERS = 300
_AMBIGUOUS = re.compile('[ "=]')


def configure_logging(
    service: str, *, json: bool | None = None, level: str | None = None, to: TextIO | LogStream | None = None
) -> None:
    """Configure logging of this process and its libraries.

    Args:
        service: Name of the service, in every event.
        json: Whether to write JSON; by default as `LOG_FORMAT`.
        level: Name of the lowest level; by default `LOG_LEVEL`, else info.
        to: Stream; by default standard error.
    """
    as_json = _as_json(json)
    threshold = logging.getLevelNamesMapping().get((level or os.environ.get("LOG_LEVEL", "info")).upper(), logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _name_service(service),
            _one_line_exception,
            _redact,
            _render_json if as_json else _render_pairs,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, to or _StandardError(service, as_json=as_json))),
        cache_logger_on_first_use=to is None,
    )
    _configure_libraries(threshold)


def get_logger() -> FilteringBoundLogger:
    """Return the logger; its methods take an event name and fields: `log.info("model_loaded", version=…)`."""
    return cast(FilteringBoundLogger, structlog.get_logger())


def open_log_stream(service: str, descriptor: int, *, json: bool | None = None) -> LogStream:
    """Return a stream that never blocks; it reports dropped lines as an event of the service."""

    def describe_dropped(count: int) -> str:
        time = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        event = {"timestamp": time, "level": "warning", "service": service, "event": "log_lines_dropped"}
        return (_render_json if _as_json(json) else _render_pairs)(None, "", event | {"count": count}) + "\n"

    return LogStream(descriptor, describe_dropped)


def dropped_log_lines() -> dict[str, int]:
    """Return how many lines of this process were dropped, by reason: `full` or `failed`, see `LogStream`."""
    stream = _StandardError.stream
    return {"full": stream.dropped_full if stream else 0, "failed": stream.dropped_failed if stream else 0}


def set_request_id(given: str | None) -> str:
    """Set the request id of the current task and return it.

    An id of 1 to 64 letters, digits and `._:-` is used as given; otherwise a new one is generated.
    """
    chosen = given if given and _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    request_id.set(chosen)
    return chosen


def set_traceparent(given: str | None) -> str:
    """Set the trace context of the current task and return it.

    A header that is not valid is replaced by that of a new trace, which is not sampled (W3C Trace Context, section
    3.2.2.3 and 4.3); without one there is no trace.
    """
    chosen = ""
    if given:
        valid = _TRACEPARENT.fullmatch(given)
        chosen = given if valid else f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-00"
    traceparent.set(chosen)
    return chosen


def trace_id() -> str:
    """Return the id of the current trace; empty if there is none."""
    return traceparent.get()[_TRACE_ID]


class _StandardError:
    """Writes to standard error without blocking.

    Looks `sys.stderr` up at each write, because loggers are cached and the stream may be replaced.
    """

    stream: LogStream | None = None
    """The stream of this process, opened by the first write."""

    def __init__(self, service: str, *, as_json: bool) -> None:
        self._service = service
        self._as_json = as_json

    def write(self, text: str) -> int:
        if sys.stderr is not sys.__stderr__ or sys.stderr is None:
            return sys.stderr.write(text)
        if _StandardError.stream is None:
            _StandardError.stream = open_log_stream(self._service, sys.stderr.fileno(), json=self._as_json)
        return _StandardError.stream.write(text)

    def flush(self) -> None:
        if sys.stderr is not sys.__stderr__:
            sys.stderr.flush()


def _as_json(given: bool | None) -> bool:
    return os.environ.get("LOG_FORMAT", "").lower() == "json" if given is None else given


class _EventHandler(logging.Handler):
    """Logs the records of libraries as events."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields = {"exc_info": record.exc_info} if record.exc_info else {}
            get_logger().log(record.levelno, record.getMessage(), logger=record.name, **fields)
        except (TypeError, ValueError):
            self.handleError(record)


def _configure_libraries(threshold: int) -> None:
    """Route the loggers of libraries to the root handler; noisy ones log warnings and errors only."""
    root = logging.getLogger()
    root.handlers[:] = [_EventHandler()]
    root.setLevel(max(threshold, logging.INFO))
    for name in (
        "kserve",
        "kserve.trace",
        "uvicorn",
        "uvicorn.error",
        "uvicorn.access",
        "httpx",
        "httpx2",
        "grpc",
        "asyncio",
    ):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def _name_service(service: str) -> structlog.typing.Processor:
    def add(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["service"] = service
        if current := request_id.get():
            event.setdefault("request_id", current)
        if trace := trace_id():
            event.setdefault("trace_id", trace)
        return event

    return add


def _one_line_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Replace a traceback by the fields `error` and `at`, the innermost six frames."""
    info = event.pop("exc_info", None)
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["error"] = f"{type(error).__name__}: {error}"
        frames = traceback.extract_tb(error.__traceback__)[-6:]
        event["at"] = " > ".join(f"{'/'.join(f.filename.split('/')[-2:])}:{f.lineno}" for f in frames)
    return event


def _redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Redact secrets and payloads, and escape unprintable characters, so that input cannot forge a line."""
    for key, value in event.items():
        if key.lower() in _SECRETS:
            event[key] = "[hidden]"
        elif isinstance(value, str):
            if len(value) > _MAX_VALUE_CHARACTERS or not value.isprintable():
                event[key] = _escape(value)
        elif isinstance(value, (bytes, bytearray, memoryview)):
            event[key] = f"[{len(value)} bytes]"
    return event


def _escape(value: str) -> str:
    short = value if len(value) <= _MAX_VALUE_CHARACTERS else f"{value[:_MAX_VALUE_CHARACTERS]}…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in short)


def _render_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    ordered = {"time": event.pop("timestamp"), "level": event.pop("level"), "event": event.pop("event"), **event}
    return orjson.dumps(ordered, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _render_pairs(_: WrappedLogger, __: str, event: EventDict) -> str:
    head = f"{event.pop('timestamp')[11:23]} {event.pop('level'):<7} {event.pop('service')} {event.pop('event')}"
    return " ".join([head, *(f"{key}={_quoted(value)}" for key, value in event.items())])


def _quoted(value: Any) -> str:
    text = value if isinstance(value, str) else f"{value:.4g}" if isinstance(value, float) else str(value)
    return repr(text) if not text or _AMBIGUOUS.search(text) else text
