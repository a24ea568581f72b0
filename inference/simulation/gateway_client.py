"""HTTP client of the gateway: authenticates as several users, renews tokens, retries."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from product_classifier.errors import InvalidSettings, ProductClassifierError
from product_classifier.validation_messages import public_message

CONNECTIONS = 512
RENEW_AFTER = 0.8
"""Share of a token's lifetime after which it is renewed."""
ATTEMPTS = 6
TOKEN_FILE_S = 60.0
"""Seconds after which a token file is read again; its owner replaces the token before it expires."""
FIRST_PAUSE_S = 0.25
MAX_PAUSE_S = 10.0
RETRIED = frozenset({429, 502, 503, 504})
JSON = {"Content-Type": "application/json"}


class GatewayUnreachable(ProductClassifierError):
    """The gateway cannot be reached or does not respond in time."""


class GatewayRefused(ProductClassifierError):
    """The gateway responded with a status other than success."""

    def __init__(self, request: str, response: "GatewayResponse") -> None:
        self.status = response.status
        self.retry_after_s = response.retry_after_s
        super().__init__(f"{request}: the gateway responded with {response.status}: {response.detail}")


@dataclass(frozen=True, slots=True)
class UserAccount:
    """A user of the gateway with credentials."""

    name: str
    role: str
    password: str = field(repr=False, default="")
    token_file: Path | None = None
    """File with a token of an external issuer, used instead of a login."""


@dataclass(frozen=True, slots=True)
class GatewayResponse:
    """A response; `body` is None if it is not JSON."""

    status: int
    body: Any
    retry_after_s: float | None

    @property
    def detail(self) -> str:
        """The detail of a problem document, at most 300 characters."""
        detail = self.body.get("detail") if isinstance(self.body, dict) else None
        return str(detail or "no reason given")[:300]


def read_token(file: Path) -> str:
    """Return the token in a file; raise `InvalidSettings` if it cannot be read."""
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        raise InvalidSettings(f"TOKEN_FILE: {public_message(str(file))} cannot be read ({error}); check it") from error


@dataclass(slots=True)
class _Token:
    value: str = ""
    renew_at: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class GatewayClient:
    """Sends requests on behalf of users; raises `GatewayUnreachable` if the gateway does not respond."""

    def __init__(
        self, url: str, session: aiohttp.ClientSession, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self.url = url
        self._session = session
        self._sleep = sleep
        self._tokens: dict[UserAccount, _Token] = {}

    async def login(self, user: UserAccount) -> None:
        """Obtain a token; raise `GatewayRefused` if the credentials are wrong."""
        await self._token(user)

    async def request(
        self, user: UserAccount, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> GatewayResponse:
        """Send one request; after a 401 renew the token and send it once more."""
        data = None if body is None else orjson.dumps(body)
        token = await self._token(user)
        for renewed in (False, True):
            sent = {"Authorization": f"Bearer {token}", **JSON, **(headers or {})}
            response = await self._send(method, path, data=data, headers=sent)
            if response.status != 401 or renewed:
                break
            token = await self._token(user, refused=token)
        return response

    async def request_with_retries(
        self, user: UserAccount, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> Any:
        """Send an idempotent request, with retries; return the body of the successful response.

        Raises:
            GatewayRefused: If the last response is not a success, or one has a status that is not in `RETRIED`.
            GatewayUnreachable: If the last attempt has no response.
        """
        attempts = AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS),
            retry=retry_if_exception(_is_temporary),
            wait=_pause_s,
            sleep=self._sleep,
            reraise=True,
        )

        async def attempt() -> Any:
            response = await self.request(user, method, path, body, headers)
            if response.status >= 300:
                raise GatewayRefused(f"{method} {path}", response)
            return response.body

        return await attempts(attempt)

    async def _token(self, user: UserAccount, refused: str = "") -> str:
        """Return a token other than `refused`; concurrent requests of a user share one login."""
        token = self._tokens.setdefault(user, _Token())
        async with token.lock:
            if token.value in {"", refused} or time.monotonic() > token.renew_at:
                if user.token_file is not None:
                    token.value, token.renew_at = read_token(user.token_file), time.monotonic() + TOKEN_FILE_S
                    return token.value
                form = {"username": user.name, "password": user.password}
                response = await self._send("POST", "/token", data=form)
                if response.status != 200 or not isinstance(response.body, dict):
                    raise GatewayRefused(f"login of {user.name!r}", response)
                token.value = str(response.body["access_token"])
                token.renew_at = time.monotonic() + RENEW_AFTER * float(response.body["expires_in"])
            return token.value

    async def _send(self, method: str, path: str, **options: Any) -> GatewayResponse:
        try:
            async with self._session.request(method, self.url + path, allow_redirects=False, **options) as response:
                body = _parse(await response.read())
                return GatewayResponse(response.status, body, _seconds(response.headers.get("Retry-After")))
        except TimeoutError as error:
            raise GatewayUnreachable(f"{self.url} does not respond in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise GatewayUnreachable(f"{self.url} cannot be reached: {str(error)[:200]}") from error


def _is_temporary(error: BaseException) -> bool:
    return isinstance(error, GatewayUnreachable) or (isinstance(error, GatewayRefused) and error.status in RETRIED)


def _pause_s(state: RetryCallState) -> float:
    """Pause as long as `Retry-After` asks, else twice as long as before, up to `MAX_PAUSE_S`."""
    error = state.outcome.exception() if state.outcome else None
    asked_s = error.retry_after_s if isinstance(error, GatewayRefused) else None
    return min(asked_s or FIRST_PAUSE_S * 2 ** (state.attempt_number - 1), MAX_PAUSE_S)


@asynccontextmanager
async def connected(
    url: str, timeout_s: float, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> AsyncIterator[GatewayClient]:
    """Yield a client and close its connections afterwards; `sleep` pauses before a retry."""
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS), timeout=timeout, trust_env=True
    ) as session:
        yield GatewayClient(url, session, sleep)


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _seconds(retry_after: str | None) -> float | None:
    """Parse a `Retry-After` in seconds; a date is ignored."""
    return float(retry_after) if retry_after and retry_after.isdigit() else None
