"""Download photos by URL: in parallel, within limits of size and time, from public addresses only.

A host name is resolved once per connection, each of its addresses is checked, and the connection is made to a checked
address: a name that resolves to another address a moment later (DNS rebinding) changes nothing. Redirects are followed
one by one, each checked in the same way.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from product_classifier.limits import PHOTO_BYTES

USER_AGENT: Final = "product-classifier (photo download)"

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_CHUNK: Final = 64 * 1024
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class DownloadLimits:
    """Limits of the downloads."""

    photo_bytes: int = PHOTO_BYTES
    """Largest photo; a longer body is not read."""
    photo_s: float = 30.0
    """Seconds for one photo, from the connection to the last byte, redirects included."""
    redirects: int = 5
    concurrency: int = 32
    per_host: int = 8
    attempts: int = 3
    """Attempts where the server is unavailable (429, 5xx or no connection)."""
    pause_s: float = 1.0
    """Seconds before the second attempt; doubled before each further one."""
    private_addresses: bool = False
    """Whether private and loopback addresses are accepted."""


class DownloadRefused(Exception):
    """A photo cannot be downloaded; the message is the reason."""


class _Unavailable(DownloadRefused):
    """Another attempt may succeed."""


async def download_photos(
    urls: Iterable[str],
    limits: DownloadLimits,
    save: Callable[[str, bytes], None],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, str]:
    """Download each URL once.

    Args:
        urls: `http` and `https` URLs; repeated ones are downloaded once.
        limits: Limits of size, time and concurrency.
        save: Called in a thread with URL and content as each download ends, so that an interrupted call loses nothing.
        progress: Called with the numbers of finished and of all downloads.

    Returns:
        The reason for each URL that cannot be downloaded.
    """
    wanted = list(dict.fromkeys(urls))
    failures: dict[str, str] = {}
    waiting = iter(wanted)
    done = 0
    connector = aiohttp.TCPConnector(
        resolver=CheckedResolver(limits), limit=limits.concurrency, limit_per_host=limits.per_host, use_dns_cache=False
    )

    async def work(session: aiohttp.ClientSession) -> None:
        nonlocal done
        for url in waiting:
            try:
                content = await _attempt(session, url, limits)
                await asyncio.to_thread(save, url, content)
            except DownloadRefused as error:
                failures[url] = str(error)
            done += 1
            progress(done, len(wanted))

    # No cookies, no credentials from the environment, no proxy: a photo is public.
    async with (
        aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), headers={"User-Agent": USER_AGENT}
        ) as session,
        asyncio.TaskGroup() as tasks,
    ):
        for _ in range(min(limits.concurrency, len(wanted))):
            tasks.create_task(work(session))
    return failures


def check_address(address: str, limits: DownloadLimits) -> None:
    """Raise `DownloadRefused` unless an IP address is public, or private ones are accepted."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        embedded = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo[1] if parsed.teredo else None)
        if embedded is None and parsed in _NAT64:
            embedded = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if embedded is not None:
            parsed = embedded
    if not limits.private_addresses and (not parsed.is_global or parsed.is_multicast):
        raise DownloadRefused(f"the address {address} is not public")


class CheckedResolver(AbstractResolver):
    """Resolves host names to public addresses, which the connector connects to."""

    def __init__(self, limits: DownloadLimits) -> None:
        self._limits = limits

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        for _, _, _, _, address in found:
            check_address(str(address[0]), self._limits)
        return [
            ResolveResult(
                hostname=host, host=str(address[0]), port=port, family=kind, proto=protocol, flags=socket.AI_NUMERICHOST
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Release nothing."""


async def _attempt(session: aiohttp.ClientSession, url: str, limits: DownloadLimits) -> bytes:
    for attempt in range(limits.attempts):
        try:
            async with asyncio.timeout(limits.photo_s):
                return await _download(session, url, limits)
        except TimeoutError:
            raise DownloadRefused(f"took longer than {limits.photo_s:g} s") from None
        except _Unavailable:
            if attempt + 1 == limits.attempts:
                raise
            await asyncio.sleep(limits.pause_s * 2**attempt)
    raise AssertionError("unreachable")


async def _download(session: aiohttp.ClientSession, url: str, limits: DownloadLimits) -> bytes:
    """Return the content of a URL, after its redirects."""
    for _ in range(limits.redirects + 1):
        check_url(url, limits)
        try:
            async with session.get(url, allow_redirects=False, timeout=aiohttp.ClientTimeout(total=None)) as response:
                if response.status in _REDIRECTS and "Location" in response.headers:
                    url = urljoin(url, response.headers["Location"])
                    continue
                _check_status(response.status)
                return await _read(response, limits)
        except DownloadRefused:
            raise
        except (aiohttp.ClientError, OSError, ValueError, ssl.SSLError) as error:
            if isinstance(refused := _cause(error), DownloadRefused):
                raise refused from error
            raise _Unavailable(f"no response: {type(error).__name__}") from error
    raise DownloadRefused(f"more than {limits.redirects} redirects")


async def _read(response: aiohttp.ClientResponse, limits: DownloadLimits) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        content += chunk
        if len(content) > limits.photo_bytes:
            raise DownloadRefused(f"has more than {limits.photo_bytes:,} bytes")
    return bytes(content)


def _check_status(status: int) -> None:
    if status != 200:
        kind = _Unavailable if status == 429 or status >= 500 else DownloadRefused
        raise kind(f"the server responded with status {status}")


def check_url(url: str, limits: DownloadLimits) -> None:
    """Raise `DownloadRefused` for another scheme, credentials, or an IP address that is not accepted.

    The connector resolves host names only, so a literal address is checked here.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError as error:
        raise DownloadRefused(f"not a URL: {error}") from error
    if parts.scheme not in {"http", "https"} or not host:
        raise DownloadRefused("not an http or https URL")
    if parts.username is not None:
        raise DownloadRefused("the URL has credentials")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return
    check_address(host, limits)


def _cause(error: BaseException) -> BaseException | None:
    """Return the `DownloadRefused` that an error of the client has as cause, if any."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, DownloadRefused):
        found = found.__cause__ or found.__context__
    return found
