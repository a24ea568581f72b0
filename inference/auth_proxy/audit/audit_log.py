"""The audit log of a gateway: an action is durable before it is carried out.

An event is written to the object store, or to the journal while that is unavailable. If neither accepts it, the action
is refused.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import JsonValue

from inference.auth_proxy.auth.tokens import Identity
from inference.durability.writer import DurableWriter
from inference.http.problems import Problem, problem_of
from product_classifier.audit.audit_entries import AuditEntries, AuditFilter, read_entries
from product_classifier.audit.audit_events import AuditAction, AuditEvent, AuditOutcome
from product_classifier.errors import NotDurable
from product_classifier.feedback.records import created_at, new_id
from product_classifier.observability import get_logger
from product_classifier.store import ObjectStore
from product_classifier.store.journal import Entry

log = get_logger()


class AuditUnavailable(Problem):
    """An action was refused because it could not be recorded."""

    def __init__(self) -> None:
        super().__init__(
            503,
            "the audit log cannot be written, so nothing was changed; try again",
            kind="audit-unavailable",
            headers={"Retry-After": "5"},
        )


@dataclass(frozen=True, slots=True)
class Requester:
    """Who sent a request, and from where; `user` is None if that is not known."""

    user: Identity | None
    address: str
    request_id: str


@dataclass(slots=True)
class ActionInProgress:
    """An action whose outcome the block that carries it out may add to."""

    target: str = ""
    """What the action was done to, where it becomes known only now."""
    failure: str = ""
    """Why it failed, if that is no exception."""


class AuditLog:
    """Writes and lists events; belongs to one event loop, and writes in threads."""

    def __init__(self, writer: DurableWriter, store: ObjectStore, now: Callable[[], datetime] | None = None) -> None:
        """Take the writer of records, the store it writes to, and a function that returns the time in UTC."""
        self._writer = writer
        self._store = store
        self._now = now or (lambda: datetime.now(UTC))

    @asynccontextmanager
    async def action(
        self, requester: Requester, action: AuditAction, target: str = "", **details: JsonValue
    ) -> AsyncIterator[ActionInProgress]:
        """Record an action before the block carries it out, and how the block ended.

        Raises:
            AuditUnavailable: If it cannot be recorded; the block does not run.
        """
        event = self._event(requester, action, target, details)
        try:
            await self.write(event)
        except NotDurable as error:
            log.warning("audit_event_refused", action=action, reason=str(error))
            raise AuditUnavailable from error
        progress = ActionInProgress()
        try:
            yield progress
        except BaseException as error:
            detail = problem_of(error).detail if isinstance(error, Exception) else type(error).__name__
            await self._write_outcome(event, AuditOutcome(outcome="failed", reason=detail))
            raise
        outcome = AuditOutcome(outcome="failed" if progress.failure else "done", reason=progress.failure)
        await self._write_outcome(event, outcome.model_copy(update={"target": progress.target}))

    async def login(self, requester: Requester, action: AuditAction, **details: JsonValue) -> None:
        """Record a login; a failure is only logged, so that an administrator can free a full disk."""
        failed = action is AuditAction.LOGIN_FAILED
        outcome = AuditOutcome(outcome="failed" if failed else "done")
        event = self._event(requester, action, "", details).model_copy(update={"outcome": outcome})
        try:
            await self.write(event)
        except NotDurable as error:
            log.warning("audit_event_lost", action=action, actor=event.actor, reason=str(error))

    async def write(self, event: AuditEvent) -> None:
        """Make an event durable; raise `NotDurable` if that fails."""
        await asyncio.to_thread(self._writer.write, [Entry(event.key, event.to_json())])

    async def page(self, chosen: AuditFilter, *, limit: int, cursor: str | None) -> AuditEntries:
        """Return a page of events, newest first; those in the journal are not in it before they are replayed."""
        return await asyncio.to_thread(read_entries, self._store, chosen, limit=limit, cursor=cursor, now=self._now())

    def _event(
        self, requester: Requester, action: AuditAction, target: str, details: dict[str, JsonValue]
    ) -> AuditEvent:
        user = requester.user
        event_id = new_id(self._now())
        return AuditEvent(
            event_id=event_id,
            created=created_at(event_id),  # in milliseconds, as lists compare it
            action=action,
            actor=user.name if user else "",
            actor_kind="unknown" if user is None else "key" if user.is_machine else "user",
            role=user.role if user else None,
            target=target,
            details=details,
            address=requester.address,
            request_id=requester.request_id,
        )

    async def _write_outcome(self, event: AuditEvent, outcome: AuditOutcome) -> None:
        """Write how an action ended; without it the event is listed with the outcome `unknown`."""
        try:
            await asyncio.to_thread(self._writer.write, [Entry(event.outcome_key, outcome.to_json())])
        except NotDurable as error:
            log.warning("audit_outcome_lost", action=event.action, event_id=event.event_id, reason=str(error))
