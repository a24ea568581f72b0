"""Errors as RFC 9457 problem documents."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.types import Send

from inference.http.problems import NOT_OUR_FAULT_TO_TELL, CallerGone
from product_classifier.errors import (
    InvalidImage,
    InvalidInput,
    InvalidProduct,
    ModelUnavailable,
    ProductClassifierError,
    StoreUnavailable,
    UnknownCategory,
)

MEDIA_TYPE = "application/problem+json"
TITLES = {
    400: "Bad request",
    401: "Not signed in",
    413: "Body too large",
    415: "Unsupported media type",
    422: "Input cannot be used",
    429: "Too many requests",
    431: "Headers too large",
    499: "Caller gone",
    500: "Internal error",
}
KINDS: dict[type[ProductClassifierError], tuple[int, str]] = {
    InvalidImage: (422, "invalid-image"),
    InvalidProduct: (422, "invalid-product"),
    UnknownCategory: (422, "unknown-category"),
    InvalidInput: (422, "invalid-input"),
    CallerGone: (499, "caller-gone"),
    ModelUnavailable: (503, "model-unavailable"),
    StoreUnavailable: (503, "store-unavailable"),
}


class Problem(Exception):
    """An answer other than success: status, one sentence, and where it was."""

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
        return {
            "type": f"urn:product-classifier:problem:{self.kind}" if self.kind else "about:blank",
            "title": TITLES.get(self.status) or HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
            **self.members,
        }


def from_error(error: ProductClassifierError) -> Problem:
    """Translate a domain error; one without a translation is our own fault and stays unexplained."""
    for kind in type(error).__mro__:
        if kind in KINDS:
            status, slug = KINDS[kind]
            return Problem(status, str(error), kind=slug)
    return Problem(500, NOT_OUR_FAULT_TO_TELL)


async def send_problem(send: Send, problem: Problem, request_id: str, *, with_error: bool = False) -> None:
    """Answer with a problem; `with_error` adds the member that clients of the V1 and V2 protocols read."""
    document = problem.document(request_id)
    if with_error:
        document["error"] = problem.detail
    body = orjson.dumps(document)
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", b"%d" % len(body))]
    headers += [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in problem.headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
