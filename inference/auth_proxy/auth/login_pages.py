"""Pages of the login: the form of the embedded issuer, and what follows an external login."""

from importlib.resources import files

import jinja2
from starlette.types import Send

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_FOLDER = files("inference.auth_proxy.auth")
_templates = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)


def login_form(next_path: str, problem: str = "") -> bytes:
    """Return the page with the form; `problem` is why the last login failed."""
    template = _templates.from_string((_FOLDER / "login.html").read_text(encoding="utf-8"))
    return template.render(next=next_path, problem=problem).encode()


def continue_page(target: str) -> bytes:
    """Return a page that loads another one.

    A redirect would be part of the navigation that the issuer began, without the cookie, which is SameSite=Strict.
    """
    template = _templates.from_string((_FOLDER / "continue.html").read_text(encoding="utf-8"))
    return template.render(target=target).encode()


async def send_page(send: Send, page: bytes, *headers: tuple[bytes, bytes], status: int = 200) -> None:
    """Respond with a page."""
    fixed = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", b"%d" % len(page)),
        (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": page})


async def send_redirect(send: Send, status: int, location: str, *headers: tuple[bytes, bytes]) -> None:
    """Respond with a redirect."""
    fixed = [(b"location", location.encode()), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": b""})
