"""A gateway as its users know it: tokens that are renewed, predictions, corrections, reviews."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from product_classifier.errors import ProductClassifierError

CONNECTIONS = 512
RENEW_AFTER = 0.8
"""Part of a token's life after which a new one is fetched."""
ATTEMPTS = 6
PAUSE_S = 0.25
LONGEST_PAUSE_S = 10.0
BUSY = frozenset({429, 502, 503, 504})
JSON = {"Content-Type": "application/json"}


class GatewayUnreachable(ProductClassifierError):
    """Nobody answers at the address of the gateway, or not in time."""


class GatewayRefused(ProductClassifierError):
    """The gateway answered, but not what was asked for."""

    def __init__(self, what: str, reply: "Reply") -> None:
        self.status = reply.status
        super().__init__(f"{what}: the gateway answers {reply.status}: {reply.detail}")


@dataclass(frozen=True, slots=True)
class Person:
    """An account of the gateway."""

    name: str
    role: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the gateway answered."""

    status: int
    body: Any
    retry_after_s: float | None

    @property
    def detail(self) -> str:
        """Its reason, if it gave one."""
        said = self.body.get("detail") if isinstance(self.body, dict) else None
        return str(said or "no reason given")[:300]


@dataclass(slots=True)
class _Token:
    value: str = ""
    until: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Gateway:
    """Speaks for people; raises `GatewayUnreachable` when there is nobody to speak to."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session
        self._tokens: dict[Person, _Token] = {}

    async def login(self, person: Person) -> None:
        """Find out at once whether there is a gateway, and whether it knows this person."""
        await self._token(person)

    async def ask(
        self, person: Person, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """Send one request; a token that is refused is renewed once."""
        data = None if body is None else orjson.dumps(body)
        token = await self._token(person)
        for fresh in (False, True):
            given = {"Authorization": f"Bearer {token}", **JSON, **(headers or {})}
            reply = await self._send(method, path, data=data, headers=given)
            if reply.status != 401 or fresh:
                break
            token = await self._token(person, refused=token)
        return reply

    async def insist(
        self, person: Person, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> Any:
        """Send a request that may be repeated until it is taken; return the body of the answer."""
        for attempt in range(ATTEMPTS):
            pause_s = PAUSE_S * 2**attempt
            try:
                reply = await self.ask(person, method, path, body, headers)
            except GatewayUnreachable:
                if attempt == ATTEMPTS - 1:
                    raise
            else:
                if reply.status < 300:
                    return reply.body
                if reply.status not in BUSY or attempt == ATTEMPTS - 1:
                    raise GatewayRefused(f"{method} {path}", reply)
                pause_s = reply.retry_after_s or pause_s
            await asyncio.sleep(min(pause_s, LONGEST_PAUSE_S))
        raise AssertionError("the last attempt returns or raises")

    async def _token(self, person: Person, refused: str = "") -> str:
        """Return a token of this person that is not `refused`; many requests wait for one login."""
        token = self._tokens.setdefault(person, _Token())
        async with token.lock:
            if token.value in {"", refused} or time.monotonic() > token.until:
                form = {"username": person.name, "password": person.password}
                reply = await self._send("POST", "/token", data=form)
                if reply.status != 200 or not isinstance(reply.body, dict):
                    raise GatewayRefused(f"login of {person.name!r}", reply)
                token.value = str(reply.body["access_token"])
                token.until = time.monotonic() + RENEW_AFTER * float(reply.body["expires_in"])
            return token.value

    async def _send(self, method: str, path: str, **options: Any) -> Reply:
        try:
            async with self._session.request(method, self.url + path, allow_redirects=False, **options) as reply:
                return Reply(reply.status, _read(await reply.read()), _seconds(reply.headers.get("Retry-After")))
        except TimeoutError as error:
            raise GatewayUnreachable(f"{self.url} does not answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise GatewayUnreachable(f"{self.url} cannot be reached: {str(error)[:200]}") from error


@asynccontextmanager
async def connected(url: str, timeout_s: float) -> AsyncIterator[Gateway]:
    """Give a gateway whose connections are closed at the end."""
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS), timeout=timeout, trust_env=True
    ) as session:
        yield Gateway(url, session)


def _read(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _seconds(retry_after: str | None) -> float | None:
    """Read the header where it is a number of seconds."""
    return float(retry_after) if retry_after and retry_after.isdigit() else None
