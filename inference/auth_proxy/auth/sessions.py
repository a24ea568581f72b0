"""Logins in browsers: a session cookie beside bearer tokens.

The cookie is HttpOnly and SameSite=Strict, and is made anew every few minutes. At every request the user must be as at
login, as for tokens: a user who was deleted, disabled, demoted or given another password has no session. Requests that
write carry the session's CSRF token in a header.
"""

import asyncio
import hmac
import secrets
from dataclasses import dataclass, replace
from pathlib import Path

from starlette.types import Scope

from inference.auth_proxy.auth.authorization_code import AuthorizationCodeFlow, IssuedLogin
from inference.auth_proxy.auth.ended_sessions import ENDED_SESSIONS_FILE, EndedSessions
from inference.auth_proxy.auth.session_cookies import Session, SessionEnded, SessionSeal
from inference.auth_proxy.auth.tokens import EmbeddedIssuer, Identity, Verifier, WallClock
from inference.auth_proxy.auth.users import User
from inference.http.problems import Problem

ROTATED_AFTER_S = 300
"""Age at which a cookie is replaced by a new one."""
CSRF_HEADER = "X-CSRF-Token"
_CSRF_HEADER = CSRF_HEADER.lower().encode()
READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class VerifiedSession:
    """A session, its user, and the new value of its cookie; empty if the cookie is not replaced."""

    session: Session
    identity: Identity
    new_cookie: str = ""


class Sessions:
    """Starts, verifies and ends sessions; belongs to one event loop."""

    def __init__(
        self,
        verifier: Verifier,
        secret: bytes,
        state: Path,
        *,
        ttl_s: int,
        idle_s: int,
        flow: AuthorizationCodeFlow | None = None,
        clock: WallClock | None = None,
    ) -> None:
        """Open the database of ended sessions.

        Args:
            verifier: The embedded issuer, or the verifier of an external one.
            secret: Shared by all gateways that accept each other's sessions.
            state: Folder of the database.
            ttl_s: Longest duration of a session in seconds.
            idle_s: Seconds after its last replacement in which a cookie is accepted.
            flow: Login at the external issuer; None with the embedded one.
            clock: Returns the time.
        """
        self.flow = flow
        self.ttl_s = ttl_s
        self._issuer = verifier if isinstance(verifier, EmbeddedIssuer) else None
        self._seal = SessionSeal(secret)
        self._ended = EndedSessions(state / ENDED_SESSIONS_FILE)
        self._idle_s = idle_s
        self._clock = clock or WallClock()
        self._refreshes: dict[str, asyncio.Task[IssuedLogin]] = {}

    def start(self, user: User) -> VerifiedSession:
        """Return a new session of a user of the embedded issuer."""
        return self._started(Identity(user.name, user.role), generation=user.generation)

    def start_issued(self, login: IssuedLogin) -> VerifiedSession:
        """Return a new session of a user who logged in at the external issuer."""
        return self._started(login.identity, checked_until=login.expires, refresh_token=login.refresh_token)

    def _started(self, identity: Identity, **fields: str | float) -> VerifiedSession:
        now = self._clock.now()
        session = Session(
            session_id=secrets.token_urlsafe(16),
            name=identity.name,
            role=identity.role,
            csrf_token=secrets.token_urlsafe(24),
            expires=now + self.ttl_s,
            **fields,  # type: ignore[arg-type]  # of the two callers above
        )
        return VerifiedSession(session, identity, self._seal.seal(session, now))

    async def verify(self, cookie: str) -> VerifiedSession:
        """Return the session of a cookie and its user in the current state.

        Raises:
            SessionEnded: If it is not valid.
            SessionsUnavailable: If ended sessions cannot be read.
            IssuerUnavailable: If the external issuer must confirm it and does not respond.
        """
        now = self._clock.now()
        session, made = self._seal.open(cookie, idle_s=self._idle_s, now=now)
        if session.expires <= now:
            raise SessionEnded("has expired")
        if self._ended.has(session.session_id):
            raise SessionEnded("was ended by a logout")
        if self._issuer is not None:
            self._check_user(self._issuer, session)
        elif session.checked_until <= now:
            session = await self._refreshed(session)
            made = 0
        identity = Identity(session.name, session.role)
        new = self._seal.seal(session, now) if now - made >= ROTATED_AFTER_S else ""
        return VerifiedSession(session, identity, new)

    async def end(self, session: Session) -> None:
        """End a session for all gateways that share the state folder."""
        now = self._clock.now()
        await asyncio.to_thread(self._ended.add, session.session_id, expires=session.expires, now=now)

    def _check_user(self, issuer: EmbeddedIssuer, session: Session) -> None:
        user = issuer.users.get(session.name)
        if user is None or user.disabled:
            raise SessionEnded("the user was deleted or disabled")
        if user.generation != session.generation or user.role is not session.role:
            raise SessionEnded("the user changed after the login")

    async def _refreshed(self, session: Session) -> Session:
        """Return the session with a new token of the issuer; concurrent requests share one refresh."""
        if self.flow is None or not session.refresh_token:
            raise SessionEnded("the token of the issuer has expired")
        task = self._refreshes.get(session.session_id)
        if task is None:
            task = asyncio.create_task(self.flow.refresh(session.refresh_token, session.name))
            self._refreshes[session.session_id] = task
            task.add_done_callback(lambda _: self._refreshes.pop(session.session_id, None))
        login = await asyncio.shield(task)
        return replace(
            session,
            role=login.identity.role,
            checked_until=login.expires,
            refresh_token=login.refresh_token or session.refresh_token,
        )


def check_csrf_token(session: Session, scope: Scope) -> None:
    """Raise a 403 problem for a request that writes and does not carry the session's CSRF token."""
    if scope["method"] in READ_METHODS:
        return
    sent = next((value for name, value in scope["headers"] if name == _CSRF_HEADER), b"")
    if not hmac.compare_digest(sent, session.csrf_token.encode()):
        raise Problem(
            403,
            f"{CSRF_HEADER}: is not that of the session; send the csrf_token of GET /me",
            kind="csrf-token",
        )
