"""Handler of `GET /audit`."""

from inference.auth_proxy.collaborators import GatewayDependencies
from inference.auth_proxy.context import RequestContext
from inference.auth_proxy.json_handlers import HandlerResult, json_handler
from inference.auth_proxy.schemas import AuditEventView, AuditPage, AuditParameters
from product_classifier.audit.audit_entries import AuditEntry, AuditFilter
from product_classifier.feedback.records import created_at


@json_handler
async def list_audit_events(
    services: GatewayDependencies, _: RequestContext, query: AuditParameters
) -> HandlerResult[AuditPage]:
    """Return a page of the audit log, newest first."""
    chosen = AuditFilter(since=query.since, until=query.until, actor=query.actor, action=query.action)
    page = await services.audit.page(chosen, limit=query.limit, cursor=query.cursor)
    return HandlerResult(AuditPage(items=[_view(entry) for entry in page.items], next_cursor=page.next_cursor))


def _view(entry: AuditEntry) -> AuditEventView:
    event, outcome = entry.event, entry.outcome
    if event is None:
        return AuditEventView(
            event_id=entry.event_id,
            created=created_at(entry.event_id),
            action=entry.action,
            actor="",
            actor_kind="unknown",
            role=None,
            target="",
            details={},
            address="",
            request_id="",
            outcome="damaged",
            reason="",
        )
    return AuditEventView(
        **event.model_dump(exclude={"target", "outcome"}),
        target=(outcome.target if outcome else "") or event.target,
        outcome=outcome.outcome if outcome else "unknown",
        reason=outcome.reason if outcome else "",
    )
