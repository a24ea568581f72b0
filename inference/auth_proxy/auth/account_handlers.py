"""Handlers of the embedded issuer's routes: access tokens, public keys and users."""

import asyncio

from inference.auth_proxy.auth.users import User
from inference.auth_proxy.collaborators import GatewayDependencies
from inference.auth_proxy.context import RequestContext
from inference.auth_proxy.json_handlers import HandlerResult, json_handler
from inference.auth_proxy.schemas import JwksView, NewUser, TokenRequest, TokenView, UserChange, UserView
from inference.http.problems import Problem


@json_handler
async def issue_token(
    services: GatewayDependencies, context: RequestContext, body: TokenRequest
) -> HandlerResult[TokenView]:
    """Exchange a user name and a password for an access token."""
    services.limits.check_login(body.username, context.client_address)
    async with services.hashing:
        user = await asyncio.to_thread(services.issuer.users.authenticate, body.username, body.password)
    services.metrics.count_login("wrong" if user is None else "right")
    if user is None:
        services.limits.count_wrong_password(body.username, context.client_address)
        raise _wrong_credentials()
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
async def add_user(services: GatewayDependencies, _: RequestContext, body: NewUser) -> HandlerResult[UserView]:
    """Create a user."""
    async with services.hashing:
        user = await asyncio.to_thread(services.issuer.users.add, body.name, body.password, body.role)
    return HandlerResult(_view(user), headers={"Location": f"/users/{user.name}"})


@json_handler
async def change_user(
    services: GatewayDependencies, context: RequestContext, body: UserChange
) -> HandlerResult[UserView]:
    """Change password, role or state of a user, and revoke the user's tokens."""
    async with services.hashing:
        changed = await asyncio.to_thread(
            services.issuer.users.change,
            context.parameters["name"],
            password=body.password,
            role=body.role,
            disabled=body.disabled,
        )
    return HandlerResult(_view(changed))


@json_handler
async def remove_user(services: GatewayDependencies, context: RequestContext) -> HandlerResult[None]:
    """Delete a user, and revoke the user's tokens."""
    await asyncio.to_thread(services.issuer.users.remove, context.parameters["name"])
    return HandlerResult(None)


def _wrong_credentials() -> Problem:
    return Problem(
        401,
        "the name or the password is wrong",
        kind="invalid-grant",
        headers={"WWW-Authenticate": 'Bearer realm="product-classifier"'},
        error="invalid_grant",
    )


def _view(user: User) -> UserView:
    return UserView(name=user.name, role=user.role, disabled=user.disabled, created=user.created)
