"""Routes of the embedded issuer: tokens, its public keys, and the people it knows."""

import asyncio
from typing import TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers

from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.auth.tokens import EmbeddedIssuer
from inference.auth_proxy.auth.users import User
from inference.auth_proxy.metrics import Metrics
from inference.auth_proxy.predictions.products import require_json
from inference.auth_proxy.rate_limits import RateLimits
from inference.auth_proxy.schemas import NewUser, TokenView, UserChange, UserView
from inference.http.bodies import FORM_TYPE, read_body, strict_form, strict_json
from inference.http.problems import Problem, public_message

BODY_LIMIT = 8192
BODY_TIMEOUT_S = 10.0
HASHES_AT_ONCE = 2
"""argon2 is meant to be slow and to need memory; a flood of logins must not take both."""
LOGIN_FIELDS = frozenset({"grant_type", "username", "password", "scope", "client_id", "client_secret"})
M = TypeVar("M", bound=BaseModel)


def make_router(issuer: EmbeddedIssuer, limits: RateLimits, metrics: Metrics) -> APIRouter:
    """Return the routes; they exist only while our own issuer is in charge."""
    router = APIRouter()
    hashing = asyncio.Semaphore(HASHES_AT_ONCE)

    @router.post("/token", tags=["account"], openapi_extra={"requestBody": _form_documentation()})
    async def token(request: Request, response: Response) -> TokenView:
        """Exchange a name and a password for an access token (OAuth2 password grant)."""
        name, password = await _credentials(request)
        address = request.client.host if request.client else "unknown"
        limits.allow_login(name, address)
        async with hashing:
            user = await asyncio.to_thread(issuer.users.check, name, password)
        metrics.login("wrong" if user is None else "right")
        if user is None:
            limits.count_wrong_password(name, address)
            raise _wrong_credentials()
        response.headers["Pragma"] = "no-cache"
        return TokenView(access_token=issuer.issue(user), expires_in=issuer.ttl_s)

    @router.get("/.well-known/jwks.json", tags=["account"])
    async def jwks(response: Response) -> dict[str, list[dict[str, str]]]:
        """Return the public keys that verify our tokens."""
        response.headers["Cache-Control"] = "public, max-age=60"
        return issuer.keys.jwks()

    @router.get("/users", tags=["users"])
    async def users() -> list[UserView]:
        """List the accounts."""
        return [_view(user) for user in issuer.users.all()]

    @router.post("/users", status_code=201, tags=["users"], openapi_extra=_json_body("NewUser"))
    async def add_user(request: Request, response: Response) -> UserView:
        """Create an account."""
        new = await _read(request, NewUser)
        async with hashing:
            user = await asyncio.to_thread(issuer.users.add, new.name, new.password, new.role)
        response.headers["Location"] = f"/users/{user.name}"
        return _view(user)

    @router.patch("/users/{name}", tags=["users"], openapi_extra=_json_body("UserChange"))
    async def change_user(name: str, request: Request) -> UserView:
        """Change password, role or whether the account may be used; its tokens end at once."""
        change = await _read(request, UserChange)
        async with hashing:
            changed = await asyncio.to_thread(
                issuer.users.change, name, password=change.password, role=change.role, disabled=change.disabled
            )
        return _view(changed)

    @router.delete("/users/{name}", status_code=204, tags=["users"])
    async def remove_user(name: str) -> None:
        """Delete an account; its tokens end at once."""
        await asyncio.to_thread(issuer.users.remove, name)

    return router


async def _credentials(request: Request) -> tuple[str, str]:
    body = await read_body(request.scope, request.receive, BODY_LIMIT, BODY_TIMEOUT_S)
    fields = strict_form(body, request.headers.get("content-type", ""), LOGIN_FIELDS)
    if fields.get("grant_type", "password") != "password":
        raise Problem(
            400, f"grant_type {public_message(fields['grant_type'])} is not 'password'", error="unsupported_grant_type"
        )
    for name in ("username", "password"):
        if not fields.get(name):
            raise Problem(422, f"form field {name!r} is missing or empty", error="invalid_request")
    return fields["username"], fields["password"]


async def _read(request: Request, model: type[M]) -> M:
    body = await read_body(request.scope, request.receive, BODY_LIMIT, BODY_TIMEOUT_S)
    require_json(Headers(scope=request.scope).get("content-type", "").split(";", 1)[0].strip(), "application/json")
    try:
        return model.model_validate(strict_json(body))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or "body"
        raise Problem(422, f"{where[:100]}: {first['msg']}", kind="invalid-body") from error


def _wrong_credentials() -> Problem:
    return Problem(
        401,
        "the name or the password is wrong",
        kind="invalid-grant",
        headers={"WWW-Authenticate": 'Bearer realm="product-classifier"'},
        error="invalid_grant",
    )


def _view(user: User) -> UserView:
    return UserView(name=user.name, role=Role(user.role), disabled=user.disabled, created=user.created)


def _json_body(schema: str) -> dict[str, object]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"requestBody": {"required": True, "content": content}}


def _form_documentation() -> dict[str, object]:
    text = {"type": "string", "minLength": 1}
    properties = {"username": text, "password": text, "grant_type": {"type": "string", "enum": ["password"]}}
    schema = {"type": "object", "required": ["username", "password"], "properties": properties}
    return {"required": True, "content": {FORM_TYPE: {"schema": schema | {"additionalProperties": False}}}}
