"""Routes of training runs."""

from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.feedback.event_streams import forward_events
from inference.auth_proxy.feedback.forwarding import forward_feedback
from inference.auth_proxy.routing import DocumentedResponse, Route
from inference.feedback_api import RunListParameters, RunPage, RunReceipt
from inference.run_events_api import EVENT_STREAM, EXAMPLE, LastEventId, RunEventData
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
    Route(
        method="GET",
        path="/retrain/{run_id}/events",
        handler=forward_events,
        role=Role.ADMIN,
        operation_id="stream_run_events",
        tag="retraining",
        summary="Follow a training run",
        headers={"Last-Event-ID": LastEventId},
        responses={
            200: DocumentedResponse(
                "Server-sent events until the run has ended: `step` when a step starts or ends, `log` for each line of"
                " the log, `verdict`, and `end`, which is the last. `x-event-data` has the schema of each. There are"
                " `log` events only for runs on the machine of the trigger: Kubernetes keeps the logs of pods. A stream"
                " ends after ten minutes, or when a service restarts: connect again with `Last-Event-ID`, as an"
                " `EventSource` does.",
                RunEventData,
                (EVENT_STREAM,),
                example=EXAMPLE,
            ),
            204: DocumentedResponse("`Last-Event-ID` is the id of `end`: no event will follow."),
        },
        problems=(503,),
    ),
)
