"""`Set-Cookie` headers: their path is the root path, and they are Secure where clients use HTTPS."""

from starlette.types import Scope

from inference.auth_proxy.auth.session_cookies import LOGIN_COOKIE, SESSION_COOKIE, set_cookie
from inference.auth_proxy.client_address import is_https
from inference.auth_proxy.collaborators import GatewayDependencies

CALLBACK = "/login/callback"


def session_cookie(services: GatewayDependencies, scope: Scope, value: str) -> bytes:
    """Return the `Set-Cookie` header of a session; an empty value deletes the cookie."""
    return set_cookie(
        SESSION_COOKIE,
        value,
        services.settings.root_path,
        secure=is_https(scope, services.settings.trusted_proxies),
        same_site="Strict",
        max_age_s=services.sessions.ttl_s if value else 0,
    ).encode()


def login_cookie(services: GatewayDependencies, scope: Scope, value: str, max_age_s: int) -> bytes:
    """Return the `Set-Cookie` header of a login in progress; an age of 0 deletes the cookie."""
    return set_cookie(
        LOGIN_COOKIE,
        value,
        services.settings.root_path + CALLBACK,
        secure=is_https(scope, services.settings.trusted_proxies),
        same_site="Lax",  # a redirect from the issuer carries no Strict cookie
        max_age_s=max_age_s,
    ).encode()
