"""Routes of corrections and reviews."""

from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.feedback.file_forwarding import forward_export, forward_import
from inference.auth_proxy.feedback.forwarding import forward_feedback
from inference.auth_proxy.media_types import JSON
from inference.auth_proxy.routing import DocumentedResponse, Route
from inference.bulk_api import EXAMPLE_BULK_RESPONSE, BulkRequest, BulkResponse
from inference.feedback_api import (
    EXAMPLE_CORRECTION,
    MAX_BULK,
    CorrectionPage,
    CorrectionView,
    FeedbackReceipt,
    FeedbackRequest,
    IdempotencyKey,
    ListParameters,
    ReplacementRequest,
    ReviewRequest,
)
from inference.label_file_api import (
    EXAMPLE_IMPORT_REPORT,
    EXPORT_MEDIA_TYPES,
    ExportParameters,
    ImportParameters,
    ImportReport,
    LabelTasks,
)
from product_classifier.audit.audit_events import AuditAction
from product_classifier.limits import PHOTO_BODY_BYTES


def _review(decision: str, summary: str, audit: AuditAction) -> Route:
    return Route(
        method="POST",
        path=f"/feedback/{{id}}/{decision}",
        handler=forward_feedback,
        role=Role.REVIEWER,
        operation_id=f"{decision}_feedback",
        tag="feedback",
        summary=summary,
        request={JSON: ReviewRequest},
        request_required=False,
        responses={
            200: DocumentedResponse("The correction with its review.", CorrectionView, example=EXAMPLE_CORRECTION)
        },
        problems=(409, 503),
        audit=audit,
    )


ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/feedback",
        handler=forward_feedback,
        role=Role.USER,
        operation_id="give_feedback",
        tag="feedback",
        summary="Correct the category of a prediction or of a product",
        request={JSON: FeedbackRequest},
        headers={"Idempotency-Key": IdempotencyKey},
        responses={
            201: DocumentedResponse("The correction is stored.", FeedbackReceipt),
            200: DocumentedResponse("The same request was stored before.", FeedbackReceipt),
        },
        problems=(404, 409, 503),
        body_limit=PHOTO_BODY_BYTES,
    ),
    Route(
        method="GET",
        path="/feedback",
        handler=forward_feedback,
        role=Role.USER,
        operation_id="list_feedback",
        tag="feedback",
        summary="List the own corrections, as a reviewer all of them",
        query=ListParameters,
        responses={
            200: DocumentedResponse(
                "A page of corrections.",
                CorrectionPage,
                example={
                    "items": [EXAMPLE_CORRECTION],
                    "next_cursor": None,
                    "total": 1,
                    "counts": {"pending": 1},
                    "is_complete": True,
                },
            )
        },
        problems=(404, 503),
    ),
    Route(
        method="GET",
        path="/feedback/export",
        handler=forward_export,
        role=Role.REVIEWER,
        operation_id="export_feedback",
        tag="feedback",
        summary="Download the corrections of a filter as CSV, JSON Lines or Label Studio tasks, newest first",
        query=ExportParameters,
        responses={200: DocumentedResponse("The file, as it is made.", LabelTasks, media_types=EXPORT_MEDIA_TYPES)},
        problems=(503,),
    ),
    Route(
        method="POST",
        path="/feedback/import",
        handler=forward_import,
        role=Role.REVIEWER,
        operation_id="import_feedback",
        tag="feedback",
        summary="Submit the labels of a file as own corrections, each row for itself; repeating it adds nothing twice",
        request={**dict.fromkeys(EXPORT_MEDIA_TYPES, str), JSON: LabelTasks},
        query=ImportParameters,
        responses={200: DocumentedResponse("What became of the rows.", ImportReport, example=EXAMPLE_IMPORT_REPORT)},
        problems=(503,),
        audit=AuditAction.CORRECTIONS_IMPORTED,
    ),
    Route(
        method="POST",
        path="/feedback/bulk",
        handler=forward_feedback,
        role=Role.REVIEWER,
        operation_id="decide_feedback_in_bulk",
        tag="feedback",
        summary=f"Approve, reject, replace or undo up to {MAX_BULK} corrections, each for itself",
        request={JSON: BulkRequest},
        responses={
            200: DocumentedResponse(
                "What became of each decision, in their order.", BulkResponse, example=EXAMPLE_BULK_RESPONSE
            )
        },
        problems=(503,),
        audit=AuditAction.CORRECTIONS_DECIDED,
    ),
    Route(
        method="POST",
        path="/feedback/{id}/correct",
        handler=forward_feedback,
        role=Role.REVIEWER,
        operation_id="correct_feedback",
        tag="feedback",
        summary="Replace a correction by another category, which counts at once",
        request={JSON: ReplacementRequest},
        responses={
            200: DocumentedResponse(
                "The replaced correction; `replaced_by` is the new one.", CorrectionView, example=EXAMPLE_CORRECTION
            )
        },
        problems=(409, 503),
        audit=AuditAction.CORRECTION_REPLACED,
    ),
    Route(
        method="POST",
        path="/feedback/{id}/undo",
        handler=forward_feedback,
        role=Role.USER,
        operation_id="undo_feedback",
        tag="feedback",
        summary="Take back an own correction, as a reviewer the last decision about any",
        responses={200: DocumentedResponse("The correction as it is now.", CorrectionView, example=EXAMPLE_CORRECTION)},
        problems=(409, 503),
        audit=AuditAction.CORRECTION_UNDONE,
    ),
    _review("approve", "Trust a correction", AuditAction.CORRECTION_APPROVED),
    _review("reject", "Reject a correction", AuditAction.CORRECTION_REJECTED),
)
