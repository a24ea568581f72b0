"""Errors of the services, and how RFC 9457 problems, V1 and V2 JSON and gRPC report each of them.

InvalidInput
└── InvalidTensor       one input tensor, or one row of it, is invalid
ProductClassifierError
├── ModelUnavailable
│   └── RowsUnavailable no model that could classify these rows is available
├── UnknownModel        no model, version or route has this name
├── ReleaseNotLoaded    the requested release is not in memory
├── BodyTooLarge        the body exceeds its limit
├── BodyIncomplete      the connection ended before the body did
├── BodyTimeout         the body did not arrive in time
├── DeadlineExceeded    the prediction took longer than its request allows
├── UnsupportedBody     the body is compressed or of an unsupported media type
├── Overloaded          the queue is full, or the request waited too long in it
└── ClientDisconnected  the client closed the connection before the response
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

from inference.http.public_paths import public_path
from product_classifier.errors import (
    ActionActive,
    ChangeConflict,
    ChangeRefused,
    FeedbackConflict,
    IndexUnavailable,
    InvalidImage,
    InvalidInput,
    InvalidProduct,
    ModelUnavailable,
    NotDurable,
    ProductClassifierError,
    QuotaExceeded,
    RetrainActive,
    StoreUnavailable,
    UnknownCategory,
    UnknownFeedback,
    UnknownPrediction,
)
from product_classifier.observability import trace_id
from product_classifier.validation_messages import public_message as public_message  # noqa: PLC0414 - used by many

if TYPE_CHECKING:
    from starlette.types import Send

MEDIA_TYPE = "application/problem+json"
INTERNAL_ERROR_DETAIL = "an internal error occurred; the request id identifies its log entry"
CLIENT_CLOSED_REQUEST = 499


class InvalidTensor(InvalidInput):
    """One input tensor, or one row of it, is invalid."""

    def __init__(self, reason: str, *, tensor: str, row: int | None = None) -> None:
        self.reason = reason
        self.tensor = tensor
        self.row = row
        super().__init__(f"input {public_message(tensor)}{'' if row is None else f', row {row}'}: {reason}")


class UnknownModel(ProductClassifierError):
    """No model, version or route has this name."""


class ReleaseNotLoaded(ProductClassifierError):
    """The requested release is not in memory."""


class RowsUnavailable(ModelUnavailable):
    """No model that could classify these rows is available."""

    def __init__(self, rows: list[int], reason: str) -> None:
        self.rows = rows
        super().__init__(f"no model is available for rows {', '.join(map(str, rows))}: {reason}")


class BodyTooLarge(ProductClassifierError):
    """The body of a request exceeds `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body has more than {limit} bytes")


class BodyIncomplete(ProductClassifierError):
    """The connection ended before the body did."""


class BodyTimeout(ProductClassifierError):
    """The body did not arrive in time."""


class DeadlineExceeded(ProductClassifierError):
    """The prediction took longer than its request allows."""


class UnsupportedBody(ProductClassifierError):
    """The body is compressed or of an unsupported media type."""


class Overloaded(ProductClassifierError):
    """The queue is full, or the request waited too long in it."""


class ClientDisconnected(ProductClassifierError):
    """The client closed the connection before the response."""


@dataclass(frozen=True, slots=True)
class Status:
    """How a class of errors is reported in each protocol."""

    http: int
    slug: str
    """Last part of a problem's `type`."""
    grpc: str
    outcome: str
    """Member `kind` of a V1 or V2 error, and label `outcome` of the request metrics."""
    oip_http: int | None = None
    """HTTP status in V1 and V2, where it differs."""
    retry_after_s: int | None = None
    close: bool = False
    """Whether the connection cannot be used for another request."""


STATUS: Mapping[type[Exception], Status] = {
    InvalidImage: Status(422, "invalid-image", "INVALID_ARGUMENT", "invalid", oip_http=400),
    InvalidProduct: Status(422, "invalid-product", "INVALID_ARGUMENT", "invalid", oip_http=400),
    UnknownCategory: Status(422, "unknown-category", "INVALID_ARGUMENT", "invalid", oip_http=400),
    ChangeConflict: Status(409, "taxonomy-conflict", "FAILED_PRECONDITION", "conflict"),
    ChangeRefused: Status(422, "invalid-taxonomy-change", "INVALID_ARGUMENT", "invalid"),
    InvalidInput: Status(422, "invalid-input", "INVALID_ARGUMENT", "invalid", oip_http=400),
    UnknownModel: Status(404, "unknown-model", "NOT_FOUND", "unknown"),
    ReleaseNotLoaded: Status(404, "release-not-loaded", "NOT_FOUND", "release_not_loaded"),
    UnknownPrediction: Status(404, "unknown-prediction", "NOT_FOUND", "unknown"),
    UnknownFeedback: Status(404, "unknown-feedback", "NOT_FOUND", "unknown"),
    FeedbackConflict: Status(409, "conflict", "ALREADY_EXISTS", "conflict"),
    QuotaExceeded: Status(429, "quota-exceeded", "RESOURCE_EXHAUSTED", "too_many"),
    ActionActive: Status(409, "release-action-active", "FAILED_PRECONDITION", "conflict"),
    RetrainActive: Status(409, "retrain-active", "FAILED_PRECONDITION", "conflict"),
    BodyTooLarge: Status(413, "body-too-large", "RESOURCE_EXHAUSTED", "too_large"),
    BodyIncomplete: Status(400, "body-incomplete", "INVALID_ARGUMENT", "unsupported", close=True),
    BodyTimeout: Status(408, "body-timeout", "DEADLINE_EXCEEDED", "timeout", close=True),
    DeadlineExceeded: Status(504, "deadline-exceeded", "DEADLINE_EXCEEDED", "timeout"),
    UnsupportedBody: Status(415, "unsupported-body", "INVALID_ARGUMENT", "unsupported"),
    ClientDisconnected: Status(CLIENT_CLOSED_REQUEST, "client-disconnected", "CANCELLED", "gone"),
    Overloaded: Status(503, "overloaded", "UNAVAILABLE", "overloaded", retry_after_s=1),
    ModelUnavailable: Status(503, "model-unavailable", "UNAVAILABLE", "unavailable", retry_after_s=1),
    IndexUnavailable: Status(503, "index-unavailable", "UNAVAILABLE", "unavailable", retry_after_s=5),
    NotDurable: Status(503, "not-durable", "UNAVAILABLE", "unavailable", retry_after_s=5),
    StoreUnavailable: Status(503, "store-unavailable", "UNAVAILABLE", "unavailable", retry_after_s=5),
}
INTERNAL = Status(500, "", "INTERNAL", "error")
"""Status of every error without an entry; its message is not sent to clients."""


class Problem(Exception):
    """An error response as an RFC 9457 problem document; `kind` is the last part of its `type`."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        kind: str = "",
        headers: Mapping[str, str] | None = None,
        close: bool = False,
        **members: object,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.kind = kind
        self.headers = dict(headers or {})
        if close:
            self.headers["Connection"] = "close"
        self.members = members

    def document(self, request_id: str) -> dict[str, Any]:
        """Return the members of the problem document."""
        closed = self.status == CLIENT_CLOSED_REQUEST
        return {
            "type": f"urn:product-classifier:problem:{self.kind}" if self.kind else "about:blank",
            "title": "Client Closed Request" if closed else HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
            **({"trace_id": trace} if (trace := trace_id()) else {}),
            **self.members,
        }


def status_of(error: Exception) -> Status:
    """Return the status of the nearest class with an entry in `STATUS`, else `INTERNAL`."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), INTERNAL)


def problem_of(error: Exception) -> Problem:
    """Return an error as a problem; one without an entry in `STATUS` becomes a 500 without its message."""
    if isinstance(error, Problem):
        return error
    status = status_of(error)
    pause_s = error.retry_after_s if isinstance(error, QuotaExceeded) else status.retry_after_s
    headers = {} if pause_s is None else {"Retry-After": str(pause_s)}
    return Problem(
        status.http, detail_of(error), kind=status.slug, headers=headers, close=status.close, **_members(error)
    )


def detail_of(error: Exception) -> str:
    """Return the message of an error for clients."""
    return INTERNAL_ERROR_DETAIL if status_of(error) is INTERNAL else str(error)


def oip_error(error: Exception, request_id: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return HTTP status, JSON document and headers of an error in V1 and V2."""
    status, problem = status_of(error), problem_of(error)
    trace = {"trace_id": found} if (found := trace_id()) else {}
    document = {"error": problem.detail, "kind": status.outcome, "request_id": request_id, **trace, **problem.members}
    return status.oip_http or status.http, document, problem.headers


async def send_problem(send: "Send", problem: Problem, request_id: str, *, with_error: bool = False) -> None:
    """Respond with a problem; `with_error` adds the member `error` that V1 and V2 clients read."""
    document = problem.document(request_id)
    if with_error:
        document["error"] = problem.detail
    body = orjson.dumps(document)
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", b"%d" % len(body))]
    headers += [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in problem.headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _members(error: Exception) -> dict[str, Any]:
    """Return what a program needs to know beside the message."""
    if isinstance(error, RowsUnavailable):
        return {"rows": error.rows}
    if isinstance(error, InvalidTensor):
        row = {} if error.row is None else {"row": error.row}
        return {"input": error.tensor, **row, "reason": error.reason}
    if isinstance(error, ActionActive):
        return {"action_id": error.action_id, "status_url": public_path(f"/releases/actions/{error.action_id}")}
    if isinstance(error, RetrainActive):
        return {"run_id": error.run_id, "status_url": public_path(f"/retrain/{error.run_id}")}
    return {}
