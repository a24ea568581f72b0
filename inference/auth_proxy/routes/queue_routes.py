"""Routes of the queue of products to label, and of how well users label."""

from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.feedback.forwarding import forward_feedback
from inference.auth_proxy.routing import DocumentedResponse, Route
from inference.queue_api import EXAMPLE_QUEUE_PAGE, QueuePage, QueueParameters
from inference.reviewer_api import EXAMPLE_REVIEWER_QUALITY, ReviewerQualityPage, ReviewerQualityParameters

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/queue",
        handler=forward_feedback,
        role=Role.USER,
        operation_id="get_queue",
        tag="queue",
        summary="Lease the next products to label, with the reason for each; no other user gets them for minutes",
        query=QueueParameters,
        responses={200: DocumentedResponse("The items.", QueuePage, example=EXAMPLE_QUEUE_PAGE)},
        problems=(503,),
    ),
    Route(
        method="POST",
        path="/queue/{id}/skip",
        handler=forward_feedback,
        role=Role.USER,
        operation_id="skip_queue_item",
        tag="queue",
        summary="Do not offer an item to the user again",
        responses={204: DocumentedResponse("It is skipped.")},
        problems=(503,),
    ),
    Route(
        method="GET",
        path="/quality/reviewers",
        handler=forward_feedback,
        role=Role.REVIEWER,
        operation_id="get_reviewer_quality",
        tag="quality",
        summary="Describe how well users label: agreement with others, and products with a known answer",
        query=ReviewerQualityParameters,
        responses={200: DocumentedResponse("By user.", ReviewerQualityPage, example=EXAMPLE_REVIEWER_QUALITY)},
        problems=(503,),
    ),
)
