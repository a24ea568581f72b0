"""Routes of the queue of products to label."""

from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.feedback.forwarding import forward_feedback
from inference.auth_proxy.routing import DocumentedResponse, Route
from inference.queue_api import EXAMPLE_QUEUE_PAGE, QueuePage, QueueParameters

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
)
