"""The status table, and errors as problem documents and V2 errors."""

from http import HTTPStatus

import grpc
import pytest

from inference.http.problems import (
    CLIENT_CLOSED_REQUEST,
    INTERNAL_ERROR_DETAIL,
    STATUS,
    BodyTooLarge,
    InvalidTensor,
    Problem,
    RowsUnavailable,
    oip_error,
    problem_of,
    public_message,
)
from product_classifier.errors import InvalidImage, ModelUnavailable, RetrainActive


@pytest.mark.parametrize("kind", STATUS, ids=lambda kind: kind.__name__)
def test_every_status_is_one_of_http_and_of_grpc(kind: type[Exception]) -> None:
    status = STATUS[kind]

    assert status.http == CLIENT_CLOSED_REQUEST or HTTPStatus(status.http)
    assert hasattr(grpc.StatusCode, status.grpc)
    assert status.slug
    assert status.outcome


@pytest.mark.parametrize(
    ("error", "status", "slug"),
    [
        (InvalidImage("x"), 422, "invalid-image"),
        (InvalidTensor("x", tensor="image", row=1), 422, "invalid-input"),
        (RowsUnavailable([1], "x"), 503, "model-unavailable"),
        (BodyTooLarge(5), 413, "body-too-large"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_an_error_is_a_problem_of_its_nearest_class(error: Exception, status: int, slug: str) -> None:
    document = problem_of(error).document("id-1")

    assert (status, f"urn:product-classifier:problem:{slug}") == (document["status"], document["type"])
    assert (str(error), "id-1") == (document["detail"], document["request_id"])


def test_an_unexpected_error_is_an_internal_error_without_its_message() -> None:
    status, document, _ = oip_error(RuntimeError("password=hunter2"), "id-1")
    problem = problem_of(RuntimeError("password=hunter2"))

    assert (500, "error", "id-1") == (status, document["kind"], document["request_id"])
    assert INTERNAL_ERROR_DETAIL == document["error"] == problem.detail
    assert "about:blank" == problem.document("id-1")["type"]


def test_invalid_input_is_a_400_in_v1_and_v2() -> None:
    status, document, _ = oip_error(InvalidTensor("is missing", tensor="image", row=1), "id-1")

    assert (400, "invalid", "image", 1, "is missing") == (
        status,
        document["kind"],
        document["input"],
        document["row"],
        document["reason"],
    )


def test_a_temporary_error_says_when_to_retry() -> None:
    assert {"Retry-After": "1"} == problem_of(ModelUnavailable("x")).headers


def test_members_name_what_a_program_needs() -> None:
    assert [1, 2] == problem_of(RowsUnavailable([1, 2], "x")).members["rows"]
    assert {"run_id": "r", "status_url": "/retrain/r"} == problem_of(RetrainActive("r")).members


def test_a_problem_stays_itself() -> None:
    problem = Problem(418, "x")

    assert problem is problem_of(problem)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a\nb", "'a\\nb'"),
        ("x" * 100, f"'{'x' * 60}'… (100 long)"),
        ([1, 2], "[1, 2]"),
        (["secret"], "a list of 1"),
        (list(range(1000)), "a list of 1000"),
        ({"a": 1}, "an object"),
        ("\ud800", "'\\ud800'"),
    ],
    ids=str,
)
def test_a_quoted_value_is_short_and_ascii(value: object, expected: str) -> None:
    assert expected == public_message(value)
