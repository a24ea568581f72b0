"""How each error is told: as a problem document (RFC 9457), never with a trace."""

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from inference.http.problem_document import MEDIA_TYPE, Problem
from inference.http.problems import NOT_OUR_FAULT_TO_TELL
from product_classifier.errors import (
    FeedbackConflict,
    InvalidImage,
    InvalidInput,
    NotDurable,
    ProductClassifierError,
    RetrainActive,
    StoreUnavailable,
    UnknownFeedback,
    UnknownPrediction,
)
from product_classifier.observability import get_logger, request_id

KINDS: dict[type[ProductClassifierError], tuple[int, str]] = {
    InvalidImage: (422, "invalid-image"),
    InvalidInput: (422, "invalid-input"),
    UnknownPrediction: (404, "unknown-prediction"),
    UnknownFeedback: (404, "unknown-feedback"),
    FeedbackConflict: (409, "conflict"),
    RetrainActive: (409, "retrain-active"),
    NotDurable: (503, "not-durable"),
    StoreUnavailable: (503, "store-unavailable"),
}
RETRY_AFTER_S = "5"
log = get_logger()


def answer_with_problems(app: FastAPI) -> None:
    """Make every error of this application a problem document."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _plain)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(ProductClassifierError, _known)
    app.add_exception_handler(Exception, _unexpected)


def problem_response(problem: Problem) -> Response:
    """Return a problem as an answer."""
    body = orjson.dumps(problem.document(request_id.get()))
    return Response(body, problem.status, problem.headers, MEDIA_TYPE)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"]) or "body"
    status, kind = (400, "malformed-json") if first["type"] == "json_invalid" else (422, "invalid-input")
    return problem_response(Problem(status, f"{place}: {first['msg']}", kind=kind, where=place))


async def _plain(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    return problem_response(Problem(error.status_code, str(error.detail), headers=error.headers))


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for this class
    return problem_response(error)


async def _known(request: Request, error: Exception) -> Response:
    found = next((KINDS[kind] for kind in type(error).__mro__ if kind in KINDS), None)
    if found is None:
        return await _unexpected(request, error)
    status, kind = found
    headers = {"Retry-After": RETRY_AFTER_S} if status == 503 else {}
    problem = Problem(status, str(error), kind=kind, headers=headers)
    if isinstance(error, RetrainActive):
        problem.members |= {"run_id": error.run_id, "status_url": f"/retrain/{error.run_id}"}
    return problem_response(problem)


async def _unexpected(_: Request, error: Exception) -> Response:
    log.error("request_failed", exc_info=error)
    return problem_response(Problem(500, NOT_OUR_FAULT_TO_TELL))
