"""Handlers of `/keys`."""

import asyncio
from datetime import UTC, datetime
from functools import partial

from pydantic import JsonValue

from inference.auth_proxy.auth.api_keys import ApiKey
from inference.auth_proxy.collaborators import GatewayDependencies
from inference.auth_proxy.context import RequestContext
from inference.auth_proxy.json_handlers import HandlerResult, json_handler
from inference.auth_proxy.schemas import KeyPage, KeyView, NewKey, NewKeyView
from inference.http.problems import Problem
from product_classifier.audit.audit_events import AuditAction


@json_handler
async def list_api_keys(services: GatewayDependencies, _: RequestContext) -> HandlerResult[KeyPage]:
    """Return every API key, by name."""
    return HandlerResult(KeyPage(items=[_view(key) for key in services.api_keys.store.all()]))


@json_handler
async def create_api_key(
    services: GatewayDependencies, context: RequestContext, body: NewKey
) -> HandlerResult[NewKeyView]:
    """Create an API key."""
    now = services.api_keys.clock.now()
    expires = body.expires.timestamp() if body.expires is not None else None
    if expires is not None and expires <= now:
        detail = f"expires: {body.expires} is not in the future; give a later time"
        raise Problem(422, detail, kind="invalid-body")
    add = partial(
        services.api_keys.store.add, body.name, body.role, expires=expires, created_by=context.user.name, now=now
    )
    details: dict[str, JsonValue] = {
        "role": body.role, "expires": body.expires.isoformat() if body.expires is not None else None
    }  # fmt: skip
    async with services.audit.action(context.requester, AuditAction.KEY_CREATED, body.name, **details) as progress:
        key, secret = await asyncio.to_thread(add)
        progress.target = key.user_name
    view = NewKeyView(**_view(key).model_dump(), key=secret)
    return HandlerResult(view)


@json_handler
async def revoke_api_key(services: GatewayDependencies, context: RequestContext) -> HandlerResult[None]:
    """Delete an API key, which is refused from then on."""
    key_id = context.parameters["key_id"]
    async with services.audit.action(context.requester, AuditAction.KEY_DELETED, key_id) as progress:
        progress.target = (await asyncio.to_thread(services.api_keys.store.remove, key_id)).user_name
    return HandlerResult(None)


def _view(key: ApiKey) -> KeyView:
    return KeyView(
        id=key.id,
        name=key.name,
        role=key.role,
        user=key.user_name,
        created=_time(key.created),
        created_by=key.created_by,
        expires=None if key.expires is None else _time(key.expires),
        last_used=None if key.last_used is None else _time(key.last_used),
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
