"""Handlers of the embedded issuer's routes: access tokens, public keys and users."""

import asyncio
from functools import partial

from inference.auth_proxy.auth.password_login import authenticate
from inference.auth_proxy.auth.users import User
from inference.auth_proxy.collaborators import GatewayDependencies
from inference.auth_proxy.context import RequestContext
from inference.auth_proxy.json_handlers import HandlerResult, json_handler
from inference.auth_proxy.schemas import JwksView, NewUser, TokenRequest, TokenView, UserChange, UserView
from product_classifier.audit.audit_events import AuditAction


@json_handler
async def issue_token(
    services: GatewayDependencies, context: RequestContext, body: TokenRequest
) -> HandlerResult[TokenView]:
    """Exchange a user name and a password for an access token."""
    user = await authenticate(services, context, body.username, body.password)
    token = TokenView(access_token=services.issuer.issue(user), expires_in=services.issuer.ttl_s)
    return HandlerResult(token, headers={"Pragma": "no-cache"})


@json_handler
async def list_keys(services: GatewayDependencies, _: RequestContext) -> HandlerResult[JwksView]:
    """Return the public keys that verify access tokens."""
    keys = JwksView.model_validate(services.issuer.keys.jwks())
    return HandlerResult(keys, headers={"Cache-Control": "public, max-age=60"})


@json_handler
async def list_users(services: GatewayDependencies, _: RequestContext) -> HandlerResult[list[UserView]]:
    """Return every user, by name."""
    return HandlerResult([_view(user) for user in services.issuer.users.all()])


@json_handler
async def add_user(services: GatewayDependencies, context: RequestContext, body: NewUser) -> HandlerResult[UserView]:
    """Create a user."""
    add = partial(services.issuer.users.add, body.name, body.password, body.role)
    async with services.audit.action(context.requester, AuditAction.USER_CREATED, body.name, role=body.role):
        user = await services.hashing.run(f"user {context.user.name}", add)
    return HandlerResult(_view(user), headers={"Location": f"{services.settings.root_path}/users/{user.name}"})


@json_handler
async def change_user(
    services: GatewayDependencies, context: RequestContext, body: UserChange
) -> HandlerResult[UserView]:
    """Change password, role or state of a user, and revoke the user's tokens."""
    name = context.parameters["name"]
    change = partial(
        services.issuer.users.change,
        name,
        password=body.password,
        role=body.role,
        disabled=body.disabled,
    )
    given = body.model_dump(exclude={"password"}, exclude_none=True) | {"password_changed": body.password is not None}
    async with services.audit.action(context.requester, AuditAction.USER_CHANGED, name, **given):
        changed = await services.hashing.run(f"user {context.user.name}", change)
    return HandlerResult(_view(changed))


@json_handler
async def remove_user(services: GatewayDependencies, context: RequestContext) -> HandlerResult[None]:
    """Delete a user, and revoke the user's tokens."""
    name = context.parameters["name"]
    async with services.audit.action(context.requester, AuditAction.USER_DELETED, name):
        await asyncio.to_thread(services.issuer.users.remove, name)
    return HandlerResult(None)


def _view(user: User) -> UserView:
    return UserView(name=user.name, role=user.role, disabled=user.disabled, created=user.created)
