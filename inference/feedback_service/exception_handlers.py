"""Exception handlers that respond with RFC 9457 problem documents."""

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException

from inference.feedback_api import SUBJECTS
from inference.http.problems import MEDIA_TYPE, Problem, problem_of
from product_classifier.errors import ProductClassifierError
from product_classifier.observability import get_logger, request_id
from product_classifier.validation_messages import MAX_ERRORS, message_of

log = get_logger()


def add_problem_handlers(app: FastAPI) -> None:
    """Make the application respond to every error with a problem document."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    for kind in (Problem, ProductClassifierError, Exception):
        app.add_exception_handler(kind, _any)


def _response(problem: Problem) -> Response:
    body = orjson.dumps(problem.document(request_id.get()))
    return Response(body, problem.status, problem.headers, MEDIA_TYPE)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
    found: list[ErrorDetails] = list(error.errors())[:MAX_ERRORS]
    errors = [{"field": _place(one["loc"]), "detail": message_of(one)} for one in found]
    status, kind = (400, "malformed-json") if found[0]["type"] == "json_invalid" else (422, "invalid-input")
    detail = "; ".join(f"{one['field']}: {one['detail']}" for one in errors)
    return _response(Problem(status, detail, kind=kind, where=errors[0]["field"], errors=errors))


def _place(location: tuple[int | str, ...]) -> str:
    """Return the field at fault, without the tag that pydantic adds for a member of a union."""
    if location[0] == "body" and len(location) > 1:
        location = location[2:] if len(location) > 2 and location[1] in SUBJECTS else location[1:]
    return ".".join(map(str, location))


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
    return _response(Problem(error.status_code, str(error.detail), headers=error.headers))


async def _any(_: Request, error: Exception) -> Response:
    problem = problem_of(error)
    if problem.status == 500:
        log.error("request_failed", exc_info=error)
    return _response(problem)
