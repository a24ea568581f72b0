"""One line per event: what every service logs, and under which request id.

`LOG_FORMAT=json` writes JSON, anything else `key=value` for people; `LOG_LEVEL` is the usual name. Bodies, photos,
tokens and passwords are never logged: callers pass names, counts and reasons.
"""

import logging
import os
import re
import sys
import traceback
import uuid
from contextvars import ContextVar
from typing import Any, TextIO, cast

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request being answered, in every line logged meanwhile."""

_GIVEN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_SECRETS = frozenset({"authorization", "cookie", "password", "secret", "token", "image", "payload", "body"})
_LONGEST_VALUE = 300
_AMBIGUOUS = re.compile('[ "=]')


def configure_logging(
    service: str, *, json: bool | None = None, level: str | None = None, to: TextIO | None = None
) -> None:
    """Send this process's events, and those of its libraries, to standard error, one line each."""
    as_json = os.environ.get("LOG_FORMAT", "").lower() == "json" if json is None else json
    threshold = logging.getLevelNamesMapping().get((level or os.environ.get("LOG_LEVEL", "info")).upper(), logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _name_service(service),
            _one_line_exception,
            _harmless,
            _render_json if as_json else _render_pairs,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(to or cast(TextIO, _StandardError())),
        cache_logger_on_first_use=to is None,
    )
    _adopt_libraries(threshold)


def get_logger() -> FilteringBoundLogger:
    """Return the logger: an event's name first, then its fields (`log.info("model_loaded", version=...)`)."""
    return cast(FilteringBoundLogger, structlog.get_logger())


def set_request_id(given: str | None) -> str:
    """Take the caller's request id if it is a plain short word, else make one; it holds for this task."""
    chosen = given if given and _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex
    request_id.set(chosen)
    return chosen


class _StandardError:
    """Standard error as it is when something is written: a logger is made once, and its stream may be replaced."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


class _ToEvents(logging.Handler):
    """Turns a library's record into an event of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields = {"exc_info": record.exc_info} if record.exc_info else {}
            get_logger().log(record.levelno, record.getMessage(), logger=record.name, **fields)
        except (TypeError, ValueError):
            self.handleError(record)


def _adopt_libraries(threshold: int) -> None:
    """One handler at the root; the chatty ones speak up only when something is wrong."""
    root = logging.getLogger()
    root.handlers[:] = [_ToEvents()]
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
        return event

    return add


def _one_line_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """`error` and where it was raised, innermost last, instead of a traceback over many lines."""
    info = event.pop("exc_info", None)
    error = sys.exc_info()[1] if info is True else info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["error"] = f"{type(error).__name__}: {error}"
        frames = traceback.extract_tb(error.__traceback__)[-6:]
        event["at"] = " > ".join(f"{'/'.join(f.filename.split('/')[-2:])}:{f.lineno}" for f in frames)
    return event


def _harmless(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """No secrets, no payloads by accident, no line breaks: a caller's text cannot forge a line."""
    for key, value in event.items():
        if key.lower() in _SECRETS:
            event[key] = "[hidden]"
        elif isinstance(value, str):
            if len(value) > _LONGEST_VALUE or not value.isprintable():
                event[key] = _plain(value)
        elif isinstance(value, (bytes, bytearray, memoryview)):
            event[key] = f"[{len(value)} bytes]"
    return event


def _plain(value: str) -> str:
    short = value if len(value) <= _LONGEST_VALUE else f"{value[:_LONGEST_VALUE]}…"
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
