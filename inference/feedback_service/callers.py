"""User and role that the gateway sends with each request, as FastAPI dependencies."""

from typing import Annotated, get_args

from fastapi import Depends, Request

from inference.feedback_service.service import Caller
from inference.http.problems import Problem, public_message
from product_classifier.feedback.records import Role

RANKS: dict[Role, int] = {role: rank for rank, role in enumerate(get_args(Role))}
MAX_NAME_CHARACTERS = 200


async def _caller(request: Request) -> Caller:
    name = _utf8(request.headers.get("x-auth-user", ""))
    role = request.headers.get("x-auth-role", "")
    if not name or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
        raise Problem(
            401,
            f"X-Auth-User: must be 1 to {MAX_NAME_CHARACTERS} printable characters, not {public_message(name)}",
            kind="not-signed-in",
        )
    for known in RANKS:
        if known == role:
            return Caller(name, known)
    raise Problem(403, f"X-Auth-Role: must be one of {', '.join(RANKS)}, not {public_message(role)}", kind="forbidden")


def _utf8(header: str) -> str:
    """Decode a header that Starlette has decoded as Latin-1."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeDecodeError:
        return header


def is_reviewer(caller: Caller) -> bool:
    """Return whether the user may see and review the corrections of others."""
    return RANKS[caller.role] >= RANKS["reviewer"]


def _require(role: Role, caller: Caller) -> Caller:
    if RANKS[caller.role] < RANKS[role]:
        raise Problem(403, f"this request needs the role {role}, not {caller.role}", kind="forbidden")
    return caller


async def _reviewer(caller: "User") -> Caller:
    return _require("reviewer", caller)


async def _admin(caller: "User") -> Caller:
    return _require("admin", caller)


User = Annotated[Caller, Depends(_caller)]
Reviewer = Annotated[Caller, Depends(_reviewer)]
Admin = Annotated[Caller, Depends(_admin)]
