"""Routes of the login in a browser; they exist whichever issuer is configured."""

from inference.auth_proxy.auth import login_handlers as login
from inference.auth_proxy.auth.login_schemas import (
    CallbackParameters,
    LoginParameters,
    LoginRequest,
    LogoutView,
    MeView,
)
from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.media_types import FORM, HTML
from inference.auth_proxy.routing import DocumentedResponse, Rate, Route
from product_classifier.limits import TOKEN_BODY_BYTES

COOKIE = {"Set-Cookie": "The session, HttpOnly and SameSite=Strict."}
EXAMPLE_ME = {
    "name": "demo-reviewer",
    "role": "reviewer",
    "issuer": "embedded",
    "is_machine": False,
    "csrf_token": "q0m4l0Yp3nC6wq2n3c1o9yZb7t5rXk8d",
    "expires": "2027-01-31T20:00:00Z",
    "settings": {
        "root_path": "",
        "users": True,
        "api_keys": True,
        "feedback": True,
        "limits": {
            "designation_characters": 10_000,
            "description_characters": 50_000,
            "photo_bytes": 8_388_608,
            "batch_products": 64,
            "upload_bytes": 1_073_741_824,
        },
    },
}

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/login",
        handler=login.open_login,
        role=None,
        operation_id="open_login",
        tag="login",
        summary="Show the login form, or redirect to the external issuer (authorization code with PKCE)",
        query=LoginParameters,
        responses={
            200: DocumentedResponse("The login form of the embedded issuer.", str, (HTML,)),
            302: DocumentedResponse(
                "To the external issuer.",
                headers={"Location": "Its authorization endpoint.", "Set-Cookie": "State of the login, SameSite=Lax."},
            ),
        },
        problems=(503,),
        rate=Rate.NONE,
    ),
    Route(
        method="POST",
        path="/login",
        handler=login.log_in,
        role=None,
        operation_id="log_in",
        tag="login",
        summary="Log in with a user name and a password of the embedded issuer",
        request={FORM: LoginRequest},
        responses={
            200: DocumentedResponse("The user.", MeView, headers=COOKIE, example=EXAMPLE_ME),
            303: DocumentedResponse(
                "To the path `next`, for a form, which accepts `text/html`.",
                headers={**COOKIE, "Location": "The path `next`."},
            ),
        },
        problems=(401, 403, 409, 503),
        rate=Rate.LOGIN,
        body_limit=TOKEN_BODY_BYTES,
    ),
    Route(
        method="GET",
        path="/login/callback",
        handler=login.finish_login,
        role=None,
        operation_id="finish_login",
        tag="login",
        summary="Return from the external issuer with an authorization code",
        query=CallbackParameters,
        responses={200: DocumentedResponse("A page that loads the path `next`.", str, (HTML,), headers=COOKIE)},
        problems=(401, 409, 503),
        rate=Rate.NONE,
    ),
    Route(
        method="POST",
        path="/logout",
        handler=login.log_out,
        role=None,
        operation_id="log_out",
        tag="login",
        summary="End the session of the cookie",
        responses={200: DocumentedResponse("The session has ended.", LogoutView, headers={"Set-Cookie": "None."})},
        problems=(403, 503),
        rate=Rate.NONE,
    ),
    Route(
        method="GET",
        path="/me",
        handler=login.show_me,
        role=Role.USER,
        operation_id="get_me",
        tag="login",
        summary="Describe the user of the session or of the bearer token",
        responses={200: DocumentedResponse("The user.", MeView, example=EXAMPLE_ME)},
    ),
)
