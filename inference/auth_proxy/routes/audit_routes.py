"""Routes of the audit log."""

from inference.auth_proxy.audit.audit_handlers import list_audit_events
from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.routing import DocumentedResponse, Route
from inference.auth_proxy.schemas import AuditPage, AuditParameters

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/audit",
        handler=list_audit_events,
        role=Role.ADMIN,
        operation_id="list_audit_events",
        tag="audit",
        summary="List who did what, newest first",
        query=AuditParameters,
        responses={200: DocumentedResponse("A page of events.", AuditPage)},
        problems=(503,),
    ),
)
