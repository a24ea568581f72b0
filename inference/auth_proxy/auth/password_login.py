"""Check of a name and a password, with its limits, metrics and audit events."""

from dataclasses import replace
from functools import partial

from inference.auth_proxy.audit.audit_log import Requester
from inference.auth_proxy.auth.tokens import Identity
from inference.auth_proxy.auth.users import User
from inference.auth_proxy.collaborators import GatewayDependencies
from inference.auth_proxy.context import RequestContext
from inference.http.problems import Overloaded, Problem
from product_classifier.audit.audit_events import AuditAction


async def authenticate(services: GatewayDependencies, context: RequestContext, name: str, password: str) -> User:
    """Return the user with this name and password; raise a 401 problem if there is none."""
    users = services.issuer.users
    try:
        async with services.login_limits.guess(name, context.client_address) as guess:
            check = partial(users.authenticate, name, password, hash_unknown=not guess.is_delayed)
            user = await services.hashing.run(guess.lane, check)
            guess.right = user is not None
    except (Problem, Overloaded):
        services.metrics.count_login("refused")
        raise
    services.metrics.count_login("wrong" if user is None else "right")
    if user is None:
        services.login_failures.add(_requester(context, users.get(name)))
        raise _wrong_credentials()
    await services.audit.login(_requester(context, user), AuditAction.LOGIN_SUCCEEDED)
    return user


def _requester(context: RequestContext, user: User | None) -> Requester:
    return replace(context.requester, user=Identity(user.name, user.role) if user else None)


def _wrong_credentials() -> Problem:
    return Problem(
        401,
        "the name or the password is wrong",
        kind="invalid-grant",
        headers={"WWW-Authenticate": 'Bearer realm="product-classifier"'},
        error="invalid_grant",
    )
