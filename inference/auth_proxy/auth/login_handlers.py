"""Handlers of the login in a browser."""

import secrets
from datetime import UTC, datetime
from hmac import compare_digest
from urllib.parse import quote, unquote

from pydantic_core import to_json
from starlette.types import Receive, Scope, Send

from inference.auth_proxy.auth.authorization_code import AuthorizationCodeFlow, LoginRefused, PendingLogin
from inference.auth_proxy.auth.login_cookies import CALLBACK, login_cookie, session_cookie
from inference.auth_proxy.auth.login_pages import continue_page, login_form, send_page, send_redirect
from inference.auth_proxy.auth.login_schemas import (
    CallbackParameters,
    LoginParameters,
    LoginRequest,
    LogoutView,
    MeView,
    ProductLimits,
    WorkbenchSettings,
)
from inference.auth_proxy.auth.password_login import authenticate
from inference.auth_proxy.auth.session_cookies import LOGIN_COOKIE, SESSION_COOKIE, Session, read_cookie
from inference.auth_proxy.auth.sessions import VerifiedSession, check_csrf_token
from inference.auth_proxy.auth.tokens import EmbeddedIssuer, Identity, TokenRejected
from inference.auth_proxy.client_address import is_https
from inference.auth_proxy.collaborators import GatewayDependencies
from inference.auth_proxy.context import RequestContext, context_of
from inference.auth_proxy.json_handlers import HandlerResult, json_handler, read_model, read_query, send_json
from inference.auth_proxy.predictions.backends import FEEDBACK
from inference.http.problems import Problem
from product_classifier.audit.audit_events import AuditAction
from product_classifier.limits import BATCH_PRODUCTS, DESCRIPTION_CHARACTERS, DESIGNATION_CHARACTERS, PHOTO_BYTES

LOGIN_S = 600
"""Seconds a user has to log in at the issuer."""


async def open_login(services: GatewayDependencies, scope: Scope, _: Receive, send: Send) -> None:
    """Respond with the login form, or redirect to the external issuer."""
    next_path = read_query(LoginParameters, scope).next
    flow = services.sessions.flow
    if flow is None:
        await send_page(send, login_form(next_path))
        return
    pending = PendingLogin(secrets.token_urlsafe(32))
    url = await flow.authorization_url(pending, _redirect_uri(services, scope))
    cookie = login_cookie(services, scope, f"{pending.secret}.{quote(next_path, safe='')}", LOGIN_S)
    await send_redirect(send, 302, url, (b"set-cookie", cookie))


async def log_in(services: GatewayDependencies, scope: Scope, receive: Receive, send: Send) -> None:
    """Check name and password, and set the session cookie: a form is redirected, others get JSON."""
    if not isinstance(services.verifier, EmbeddedIssuer):
        raise Problem(409, "users log in at the external issuer; open GET /login", kind="external-issuer")
    if _header(scope, b"sec-fetch-site") == "cross-site":
        raise Problem(403, "the login form of another site was sent; open GET /login", kind="cross-site")
    context, is_form = context_of(scope), "text/html" in _header(scope, b"accept")
    body: LoginRequest = await read_model(services, context.matched, scope, receive)
    try:
        user = await authenticate(services, context, body.username, body.password)
    except Problem as problem:
        if not is_form or problem.status != 401:
            raise
        await send_page(send, login_form(body.next, problem.detail), status=401)
        return
    started = services.sessions.start(user)
    cookie = (b"set-cookie", session_cookie(services, scope, started.new_cookie))
    if is_form:
        await send_redirect(send, 303, services.settings.root_path + body.next, cookie)
    else:
        await send_json(send, to_json(_me(services, started.identity, started.session)), cookie)


async def finish_login(services: GatewayDependencies, scope: Scope, _: Receive, send: Send) -> None:
    """Redeem the code with which the issuer sent the browser back, and set the session cookie."""
    flow = _flow(services)
    parameters = read_query(CallbackParameters, scope)
    secret, _dot, next_path = read_cookie(scope["headers"], LOGIN_COOKIE).partition(".")
    pending = PendingLogin(secret)
    if not secret or not compare_digest(pending.state.encode(), parameters.state.encode()):
        raise LoginRefused("it was not begun in this browser, or more than ten minutes ago")
    if parameters.error or not parameters.code:
        raise LoginRefused(f"the issuer responds {parameters.error or 'without a code'!r}")
    login = await flow.redeem(parameters.code, pending, _redirect_uri(services, scope))
    context = context_of(scope)
    context.identity = login.identity
    await services.audit.login(context.requester, AuditAction.LOGIN_SUCCEEDED)
    started = services.sessions.start_issued(login)
    path = LoginParameters.model_validate({"next": unquote(next_path) or "/"}).next
    await send_page(
        send,
        continue_page(services.settings.root_path + path),
        (b"set-cookie", session_cookie(services, scope, started.new_cookie)),
        (b"set-cookie", login_cookie(services, scope, "", 0)),
    )


async def log_out(services: GatewayDependencies, scope: Scope, _: Receive, send: Send) -> None:
    """End the session of the cookie, and delete the cookie; a session that has ended already is no error."""
    cookie = read_cookie(scope["headers"], SESSION_COOKIE)
    verified = await _verified(services, cookie) if cookie else None
    if verified is not None:
        context = context_of(scope)
        check_csrf_token(verified.session, scope)
        context.identity = verified.identity
        async with services.audit.action(context.requester, AuditAction.LOGGED_OUT):
            await services.sessions.end(verified.session)
    flow = services.sessions.flow
    view = LogoutView(issuer_logout_url=await flow.logout_url() if flow else None)
    await send_json(send, to_json(view), (b"set-cookie", session_cookie(services, scope, "")))


@json_handler
async def show_me(services: GatewayDependencies, context: RequestContext) -> HandlerResult[MeView]:
    """Return the user of the request."""
    return HandlerResult(_me(services, context.user, context.session))


def _redirect_uri(services: GatewayDependencies, scope: Scope) -> str:
    scheme = "https" if is_https(scope, services.settings.trusted_proxies) else "http"
    return f"{scheme}://{_header(scope, b'host')}{services.settings.root_path}{CALLBACK}"


def _flow(services: GatewayDependencies) -> AuthorizationCodeFlow:
    if services.sessions.flow is None:
        raise Problem(409, "users log in with a password; open GET /login", kind="embedded-issuer")
    return services.sessions.flow


async def _verified(services: GatewayDependencies, cookie: str) -> VerifiedSession | None:
    try:
        return await services.sessions.verify(cookie)
    except TokenRejected:
        return None


def _me(services: GatewayDependencies, user: Identity, session: Session | None) -> MeView:
    if user.role is None:
        raise TypeError("a user without a role has no session that a route accepts")
    is_embedded = isinstance(services.verifier, EmbeddedIssuer)
    return MeView(
        name=user.name,
        role=user.role,
        issuer="embedded" if is_embedded else "external",
        is_machine=user.is_machine,
        csrf_token=session.csrf_token if session else None,
        expires=datetime.fromtimestamp(int(session.expires), UTC) if session else None,
        settings=WorkbenchSettings(
            root_path=services.settings.root_path,
            users=is_embedded,
            api_keys=services.settings.api_keys,
            feedback=services.backends.has(FEEDBACK),
            limits=ProductLimits(
                designation_characters=DESIGNATION_CHARACTERS,
                description_characters=DESCRIPTION_CHARACTERS,
                photo_bytes=PHOTO_BYTES,
                batch_products=BATCH_PRODUCTS,
                upload_bytes=services.settings.upload_limit,
            ),
        ),
    )


def _header(scope: Scope, name: bytes) -> str:
    return next((value for key, value in scope["headers"] if key == name), b"").decode("latin-1")
