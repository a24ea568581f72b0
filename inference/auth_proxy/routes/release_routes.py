"""Routes of releases; reviewers read, admins act, and the retrain trigger carries an action out."""

from collections.abc import Mapping
from typing import Any

from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.feedback.forwarding import forward_feedback
from inference.auth_proxy.media_types import JSON
from inference.auth_proxy.routing import DocumentedResponse, Route
from inference.operations_api import (
    CanaryRequest,
    ReleaseActionReceipt,
    ReleaseActionView,
    ReleaseDetailView,
    ReleaseListParameters,
    ReleasePage,
)
from product_classifier.audit.audit_events import AuditAction

RELEASE, BEFORE = "r-20270131T120000-1a2b3c4d", "r-20270124T120000-5e6f7a8b"
ACTION = "019ab0f2-7d1e-7c3a-9d55-0c8f6a4be111"
EXAMPLE_RELEASE = {
    "release": RELEASE,
    "created": "2027-01-31T12:00:00Z",
    "state": "champion",
    "weighted_f1": 0.861,
    "text_weighted_f1": 0.812,
    "image_weighted_f1": 0.604,
    "hold_out": "9f2c1d7e",
    "data_revision": "4c0e6a1b",
    "products": 84_916,
    "categories": 5,
    "corrections": 214,
    "verdict": {
        "promoted": True,
        "champion": BEFORE,
        "reasons": ["weighted F1 rises by 0.006"],
        "decided": "2027-01-31T12:04:00Z",
    },
}
EXAMPLE_DETAIL = {
    **EXAMPLE_RELEASE,
    "git_commit": "0a1b2c3d",
    "mlflow_runs": {"fusion": "7f3a2b"},
    "corrections_snapshot": "0" * 64,
    "products_by_category": [{"code": "tea > black", "label": "Black tea", "products": 10_209}],
    "corrections_by_category": [{"code": "tea > black", "label": "Black tea", "products": 12}],
    "metrics": {"fusion": {"weighted_f1": 0.861}},
    "gate_metrics": {},
}
EXAMPLE_RECEIPT = {"action_id": ACTION, "release": RELEASE, "status_url": f"/releases/actions/{ACTION}"}
EXAMPLE_ACTION = {
    "action_id": ACTION,
    "kind": "promote",
    "release": RELEASE,
    "share": 0.0,
    "shadow": False,
    "requested_by": "demo-admin",
    "created": "2027-01-31T12:10:00Z",
    "state": "succeeded",
    "reason": f"{RELEASE} is deployed instead of {BEFORE}",
    "finished": "2027-01-31T12:10:40Z",
}


def _act(
    path: str, operation_id: str, summary: str, audit: AuditAction, request: Mapping[str, Any] | None = None
) -> Route:
    return Route(
        method="POST",
        path=path,
        handler=forward_feedback,
        role=Role.ADMIN,
        operation_id=operation_id,
        tag="releases",
        summary=summary,
        request=request or {},
        responses={
            202: DocumentedResponse(
                "The action is requested.",
                ReleaseActionReceipt,
                headers={"Location": "Path of the action."},
                example=EXAMPLE_RECEIPT,
            )
        },
        problems=(404, 409, 503),
        audit=audit,
    )


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/releases",
        handler=forward_feedback,
        role=Role.REVIEWER,
        operation_id="list_releases",
        tag="releases",
        summary="List the releases, newest first",
        query=ReleaseListParameters,
        responses={
            200: DocumentedResponse(
                "A page of releases.",
                ReleasePage,
                example={"items": [EXAMPLE_RELEASE], "next_cursor": None, "champion": RELEASE},
            )
        },
        problems=(503,),
    ),
    Route(
        method="GET",
        path="/releases/{release}",
        handler=forward_feedback,
        role=Role.REVIEWER,
        operation_id="get_release",
        tag="releases",
        summary="Describe a release with its metrics, data, corrections and verdict",
        responses={200: DocumentedResponse("The release.", ReleaseDetailView, example=EXAMPLE_DETAIL)},
        problems=(503,),
    ),
    _act("/releases/{release}/promote", "promote_release", "Deploy a release", AuditAction.RELEASE_PROMOTED),
    _act(
        "/releases/{release}/canary",
        "start_canary",
        "Route requests to a release beside the champion, or end that (cluster only)",
        AuditAction.CANARY_CHANGED,
        {JSON: CanaryRequest},
    ),
    _act(
        "/releases/rollback",
        "roll_back_release",
        "Deploy the release that the champion replaced",
        AuditAction.RELEASE_ROLLED_BACK,
    ),
    Route(
        method="GET",
        path="/releases/actions/{id}",
        handler=forward_feedback,
        role=Role.REVIEWER,
        operation_id="get_release_action",
        tag="releases",
        summary="Describe an action on releases and how it ended",
        responses={200: DocumentedResponse("The action.", ReleaseActionView, example=EXAMPLE_ACTION)},
        problems=(503,),
    ),
)
