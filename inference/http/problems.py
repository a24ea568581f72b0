"""What a model server answers when it cannot answer, in both protocols.

InvalidInput
└── InvalidTensor       names the tensor and the row
ProductClassifierError
├── ModelUnavailable
│   └── RowsUnanswered  no model is left that could say something about these rows
├── UnknownModel        no model, version or route of this name here
├── ReleaseNotLoaded    the release asked for is not one of those in memory
├── BodyTooLarge        more bytes than a request may have
├── UnsupportedBody     compressed, or not a form of request we read
├── Overloaded          more work waits than can be done soon
└── CallerGone          nobody waits for the answer any more
"""

from dataclasses import dataclass
from typing import Any

from product_classifier.errors import InvalidInput, ModelUnavailable, ProductClassifierError

RETRY_AFTER_S = 1
SHOWN = 60
NOT_OUR_FAULT_TO_TELL = "something went wrong here; the request id names the log entry"


class InvalidTensor(InvalidInput):
    """A tensor, or one row of it, cannot be used."""

    def __init__(self, reason: str, *, tensor: str, row: int | None = None) -> None:
        self.reason = reason
        self.tensor = tensor
        self.row = row
        super().__init__(f"input {shown(tensor)}{'' if row is None else f', row {row}'}: {reason}")


class UnknownModel(ProductClassifierError):
    """No model, version or route of this name is served here."""


class ReleaseNotLoaded(ProductClassifierError):
    """The release asked for is not one of those in memory."""


class RowsUnanswered(ModelUnavailable):
    """No model is left that could say something about these rows."""

    def __init__(self, rows: list[int], reason: str) -> None:
        self.rows = rows
        super().__init__(f"nothing can be said about rows {', '.join(map(str, rows))}: {reason}")


class BodyTooLarge(ProductClassifierError):
    """A request has more bytes than it may have."""


class UnsupportedBody(ProductClassifierError):
    """A body is compressed, or in no form we read."""


class Overloaded(ProductClassifierError):
    """More work waits than can be done soon."""


class CallerGone(ProductClassifierError):
    """Nobody waits for the answer any more."""


@dataclass(frozen=True)
class Verdict:
    """How an error is told to a caller."""

    status: int
    grpc: str
    outcome: str


VERDICTS: dict[type[Exception], Verdict] = {
    InvalidInput: Verdict(400, "INVALID_ARGUMENT", "invalid"),
    UnknownModel: Verdict(404, "NOT_FOUND", "unknown"),
    ReleaseNotLoaded: Verdict(404, "NOT_FOUND", "release_not_loaded"),
    BodyTooLarge: Verdict(413, "RESOURCE_EXHAUSTED", "too_large"),
    UnsupportedBody: Verdict(415, "INVALID_ARGUMENT", "unsupported"),
    Overloaded: Verdict(503, "UNAVAILABLE", "overloaded"),
    CallerGone: Verdict(499, "CANCELLED", "gone"),
    ModelUnavailable: Verdict(503, "UNAVAILABLE", "unavailable"),
}
UNEXPECTED = Verdict(500, "INTERNAL", "error")


def verdict(error: Exception) -> Verdict:
    """Find how to tell this error: as its nearest class in the table, else as our own fault."""
    return next((VERDICTS[kind] for kind in type(error).__mro__ if kind in VERDICTS), UNEXPECTED)


def told(error: Exception) -> str:
    """Return what a caller may read: our own words, never those of a library."""
    return NOT_OUR_FAULT_TO_TELL if verdict(error) is UNEXPECTED else str(error)


def document(error: Exception, request_id: str) -> dict[str, Any]:
    """Return the JSON of an error: `error` as V1 and V2 clients read it, and where it was for programs."""
    where: dict[str, Any] = {}
    if isinstance(error, RowsUnanswered):
        where = {"rows": error.rows}
    elif isinstance(error, InvalidTensor):
        where = {"input": error.tensor, "row": error.row, "reason": error.reason}
    kind = verdict(error).outcome
    return {"error": told(error), "kind": kind, "request_id": request_id} | {
        k: v for k, v in where.items() if v is not None
    }


def shown(value: object) -> str:
    """Return a value short enough, and safe enough, for a message."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple) and (len(value) > 6 or any(isinstance(v, list | dict | str) for v in value)):
        return f"a list of {len(value)}"
    if isinstance(value, str | bytes) and len(value) > SHOWN:
        return f"{value[:SHOWN]!a}… ({len(value)} long)"
    return ascii(value)[: SHOWN * 10]
