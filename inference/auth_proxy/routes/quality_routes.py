"""Routes of quality, suspects and drift."""

from typing import Any

from pydantic import BaseModel

from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.feedback.forwarding import forward_feedback
from inference.auth_proxy.routing import DocumentedResponse, Route
from inference.operations_api import (
    DriftPage,
    DriftParameters,
    QualityParameters,
    QualityView,
    SuspectPage,
    SuspectParameters,
)

RELEASE = "r-20270131T120000-1a2b3c4d"
SCORES = {
    "weighted_f1": 0.861,
    "macro_f1": 0.843,
    "accuracy": 0.862,
    "ece": 0.012,
    "items": 8_490,
    "coverage_at_99": 0.58,
}
EXAMPLE_QUALITY = {
    "release": RELEASE,
    "hold_out": "9f2c1d7e",
    "scores": {"fusion": SCORES},
    "by_category": [
        {
            "code": "tea > black",
            "label": "Black tea",
            "precision": 0.98,
            "recall": 0.99,
            "f1": 0.985,
            "items": 1_020,
            "accepted_coverage": 0.97,
            "accepted_precision": 0.995,
        }
    ],
    "confusions": [
        {
            "code": "tea > black",
            "label": "Black tea",
            "predicted": "tea > green",
            "predicted_label": "Green tea",
            "items": 9,
        }
    ],
    "calibration": [{"low": 0.9, "high": 1.0, "items": 5_010, "confidence": 0.97, "accuracy": 0.968}],
    "coverage": [{"precision": 0.99, "coverage": 0.58}],
    "releases": [
        {
            "release": RELEASE,
            "created": "2027-01-31T12:00:00Z",
            "state": "champion",
            "hold_out": "9f2c1d7e",
            "weighted_f1": 0.861,
            "macro_f1": 0.843,
            "f1_by_category": {"tea > black": 0.985},
        }
    ],
    "feedback": [
        {
            "day": "2027-01-30",
            "corrections": 40,
            "confirmations": 22,
            "accepted": 31,
            "rejected": 3,
            "acceptance_rate": 0.91,
        }
    ],
}
EXAMPLE_SUSPECTS = {
    "release": RELEASE,
    "labels": 76_426,
    "items": [
        {
            "product_id": 3804725264,
            "designation": "Olivia: carnet 2018",
            "description": "",
            "image_sha256": None,
            "code": "tea > black",
            "label": "Black tea",
            "probability": 0.02,
            "suggested_code": "tea > green",
            "suggested_label": "Green tea",
            "suggested_probability": 0.95,
            "copies": 1,
        }
    ],
    "next_cursor": None,
}


def _read(
    path: str, operation_id: str, summary: str, query: type[BaseModel], description: str, body: Any, example: Any
) -> Route:
    return Route(
        method="GET",
        path=path,
        handler=forward_feedback,
        role=Role.REVIEWER,
        operation_id=operation_id,
        tag="quality",
        summary=summary,
        query=query,
        responses={200: DocumentedResponse(description, body, example=example)},
        problems=(404, 503),
    )


ROUTES: tuple[Route, ...] = (
    _read(
        "/quality",
        "get_quality",
        "Describe the quality of a release, of the releases before it, and the corrections over time",
        QualityParameters,
        "The quality.",
        QualityView,
        EXAMPLE_QUALITY,
    ),
    _read(
        "/suspects",
        "list_suspects",
        "List training labels that are probably wrong, the most probable error first",
        SuspectParameters,
        "A page of suspects.",
        SuspectPage,
        EXAMPLE_SUSPECTS,
    ),
    _read(
        "/drift",
        "list_drift",
        "List monitored windows, newest first",
        DriftParameters,
        "A page of windows.",
        DriftPage,
        {"windows": [], "next_cursor": None},
    ),
)
