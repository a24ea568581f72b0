"""Routes of training runs."""

from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.feedback.forwarding import forward_feedback
from inference.auth_proxy.routing import DocumentedResponse, Route
from inference.feedback_api import RunListParameters, RunPage, RunReceipt
from product_classifier.audit.audit_events import AuditAction
from product_classifier.retraining import RunView

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/retrain",
        handler=forward_feedback,
        role=Role.ADMIN,
        operation_id="start_retraining",
        tag="retraining",
        summary="Start a training run",
        responses={
            202: DocumentedResponse("The run is requested.", RunReceipt, headers={"Location": "Path of the run."})
        },
        problems=(409, 503),
        audit=AuditAction.RUN_REQUESTED,
    ),
    Route(
        method="GET",
        path="/retrain",
        handler=forward_feedback,
        role=Role.ADMIN,
        operation_id="list_runs",
        tag="retraining",
        summary="List the training runs",
        query=RunListParameters,
        responses={200: DocumentedResponse("A page of runs, newest first.", RunPage)},
        problems=(503,),
    ),
    Route(
        method="GET",
        path="/retrain/{run_id}",
        handler=forward_feedback,
        role=Role.ADMIN,
        operation_id="get_run",
        tag="retraining",
        summary="Describe a training run",
        responses={200: DocumentedResponse("The run.", RunView)},
        problems=(503,),
    ),
)
