"""The session cookie: an encrypted session, which any gateway with the same secret can open."""

import base64
import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from inference.auth_proxy.auth.roles import Role
from inference.auth_proxy.auth.tokens import TokenRejected

SESSION_COOKIE = "product_classifier_session"
LOGIN_COOKIE = "product_classifier_login"
"""State of a login that is in progress at an external issuer."""
MAX_COOKIE_BYTES = 3800
"""Browsers drop cookies of more than 4,096 bytes with their name and attributes."""


@dataclass(frozen=True, slots=True)
class Session:
    """A login in a browser."""

    session_id: str
    name: str
    role: Role | None
    """With the embedded issuer, the role at login; the current one must be the same."""
    csrf_token: str
    expires: float
    """End of the session, in seconds since 1970."""
    generation: str = ""
    """State of the user of the embedded issuer at login."""
    checked_until: float = 0.0
    """End of validity of the external issuer's token; then it is refreshed, or the session ends."""
    refresh_token: str = ""


class SessionSeal:
    """Encrypts sessions with a key derived from a secret (Fernet: AES-128-CBC with HMAC-SHA256)."""

    def __init__(self, secret: bytes) -> None:
        key = HKDF(SHA256(), length=32, salt=None, info=b"product-classifier session cookie").derive(secret)
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def seal(self, session: Session, now: float) -> str:
        """Return the value of a cookie; without the refresh token if the cookie would be too large."""
        fields = {name: value for name, value in asdict(session).items() if value not in {"", None}}
        sealed = self._fernet.encrypt_at_time(json.dumps(fields).encode(), int(now)).decode()
        if len(sealed) > MAX_COOKIE_BYTES and fields.pop("refresh_token", None):
            sealed = self._fernet.encrypt_at_time(json.dumps(fields).encode(), int(now)).decode()
        return sealed

    def open(self, value: str, *, idle_s: int, now: float) -> tuple[Session, float]:
        """Return a session and the time at which its cookie was made.

        Raises:
            TokenRejected: If the cookie was not made with this secret, or more than `idle_s` ago.
        """
        try:
            fields = json.loads(self._fernet.decrypt_at_time(value.encode("latin-1"), idle_s, int(now)))
            made = self._fernet.extract_timestamp(value.encode("latin-1"))
            role = fields.pop("role", None)
            return Session(role=Role(role) if role else None, **fields), made
        except (InvalidToken, ValueError, TypeError) as error:
            raise SessionEnded("the cookie is forged, or not used for too long") from error


class SessionEnded(TokenRejected):
    """A session is not valid; the reason is logged."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"session: {reason}", "the session has ended; log in again")


def read_cookie(headers: Iterable[tuple[bytes, bytes]], name: str) -> str:
    """Return the value of a cookie of a request; empty if it has none."""
    header = next((value for key, value in headers if key == b"cookie"), b"").decode("latin-1")
    for pair in header.split(";"):
        key, _, value = pair.strip().partition("=")
        if key == name:
            return value
    return ""


def set_cookie(name: str, value: str, path: str, *, secure: bool, same_site: str, max_age_s: int) -> str:
    """Return the value of a `Set-Cookie` header (RFC 6265); an age of 0 deletes the cookie."""
    attributes = f"Path={path or '/'}; Max-Age={max_age_s}; HttpOnly; SameSite={same_site}"
    return f"{name}={value}; {attributes}{'; Secure' if secure else ''}"


def digest(value: str) -> str:
    """Return the URL-safe SHA-256 of a text, as PKCE's method S256 (RFC 7636, section 4.2) has it."""
    return base64.urlsafe_b64encode(hashlib.sha256(value.encode()).digest()).rstrip(b"=").decode()
