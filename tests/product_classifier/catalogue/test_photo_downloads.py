"""Downloads from a real server on this machine."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
from aiohttp import web

from product_classifier.catalogue.photo_downloads import DownloadLimits, DownloadRefused, check_address, download_photos

LIMITS = DownloadLimits(photo_bytes=100_000, photo_s=0.5, private_addresses=True, pause_s=0.0, redirects=3)


class PhotoServer:
    """Serves photos and faults, and counts requests by path."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: Counter[str] = Counter()
        self.active = self.most_active = 0

    async def respond(self, request: web.Request) -> web.StreamResponse:
        self.requests[request.path] += 1
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        try:
            return await self._respond(request)
        finally:
            self.active -= 1

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        kind, _, value = request.path[1:].partition("/")
        match kind:
            case "photo":
                await asyncio.sleep(0.01)
                return web.Response(body=f"photo {value}".encode())
            case "status":
                return web.Response(status=int(value))
            case "flaky":
                return web.Response(status=503) if self.requests[request.path] < 3 else web.Response(body=b"late")
            case "to":
                raise web.HTTPFound(request.query["url"])
            case "loop":
                raise web.HTTPFound(request.path)
            case "endless":
                return await self._stream(request, b"x" * 10_000, 0.0)
            case "slow":
                return await self._stream(request, b"x", 0.05)
            case _:
                return web.Response(status=404)

    async def _stream(self, request: web.Request, chunk: bytes, pause_s: float) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(chunk)
            await asyncio.sleep(pause_s)


@pytest.fixture
async def server() -> AsyncIterator[PhotoServer]:
    """A running server; its handlers are canceled when a client disconnects."""
    server = PhotoServer()
    application = web.Application()
    application.router.add_get("/{path:.*}", server.respond)
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


async def _download(urls: list[str], limits: DownloadLimits = LIMITS) -> tuple[dict[str, bytes], dict[str, str]]:
    saved: dict[str, bytes] = {}
    failures = await download_photos(urls, limits, saved.__setitem__)
    return saved, failures


async def test_each_photo_is_downloaded_once_and_in_parallel(server: PhotoServer) -> None:
    urls = [f"{server.url}/photo/{number % 40}" for number in range(120)]

    saved, failures = await _download(urls, replace(LIMITS, photo_s=10))

    assert ({url: f"photo {url.rpartition('/')[2]}".encode() for url in urls}, {}) == (saved, failures)
    assert {1} == set(server.requests.values())
    assert 1 < server.most_active <= LIMITS.per_host


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/endless", "has more than 100,000 bytes"),
        ("/slow", "took longer than 0.5 s"),
        ("/loop", "more than 3 redirects"),
        ("/status/404", "the server responded with status 404"),
        ("/status/500", "the server responded with status 500"),
        ("/to?url=file:///etc/passwd", "not an http or https URL"),
        ("/to?url=http://user:secret@127.0.0.1/", "the URL has credentials"),
    ],
)
async def test_a_photo_that_cannot_be_downloaded_has_a_reason(server: PhotoServer, path: str, reason: str) -> None:
    good = f"{server.url}/photo/1"

    saved, failures = await _download([server.url + path, good])

    assert ({server.url + path: reason}, {good: b"photo 1"}) == (failures, saved)


async def test_an_unavailable_server_is_requested_again(server: PhotoServer) -> None:
    saved, failures = await _download([f"{server.url}/flaky"])

    assert ([b"late"], {}) == (list(saved.values()), failures)


async def test_a_redirect_is_followed(server: PhotoServer) -> None:
    saved, _ = await _download([f"{server.url}/to?url=/photo/7"])

    assert [b"photo 7"] == list(saved.values())


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/photo/1",
        "http://localhost:{port}/photo/1",
        "http://[::1]:{port}/photo/1",
        "http://[::ffff:127.0.0.1]:{port}/photo/1",
        "http://2130706433:{port}/photo/1",
        "http://0x7f.1:{port}/photo/1",
        "http://0:{port}/photo/1",
    ],
)
async def test_private_addresses_in_any_form_receive_no_request(server: PhotoServer, url: str) -> None:
    url = url.format(port=server.url.rpartition(":")[2])

    saved, failures = await _download([url], replace(LIMITS, private_addresses=False, attempts=1))

    assert ({}, [url], Counter()) == (saved, list(failures), server.requests)


@pytest.mark.parametrize("target", ["http://127.0.0.1:{port}/photo/1", "http://localhost:{port}/photo/1"])
async def test_a_redirect_to_a_private_address_is_not_followed(
    server: PhotoServer, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """The name `public.example` resolves to a public address here; what it redirects to does not."""
    port = server.url.rpartition(":")[2]
    _resolve(monkeypatch, lambda host: "93.184.215.14" if host == "public.example" else "127.0.0.1")
    url = f"http://public.example:{port}/to?url={target.format(port=port)}"
    _connect_to_loopback(monkeypatch)

    saved, failures = await _download([url], replace(LIMITS, private_addresses=False, attempts=1))

    assert ({}, {url: "the address 127.0.0.1 is not public"}) == (saved, failures)
    assert {"/to": 1} == server.requests


async def test_a_name_that_resolves_to_another_address_later_is_not_resolved_again(
    server: PhotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    addresses = iter(["93.184.215.14", "127.0.0.1"])
    asked: list[str] = []

    def resolve(host: str) -> str:
        asked.append(host)
        return next(addresses)

    _resolve(monkeypatch, resolve)
    _connect_to_loopback(monkeypatch)

    await _download(
        [f"http://rebinding.example:{server.url.rpartition(':')[2]}/photo/1"],
        replace(LIMITS, private_addresses=False, attempts=1),
    )

    assert ["rebinding.example"] == asked


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
     "::1", "fe80::1%eth0", "fc00::1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "::"],
)  # fmt: skip
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(DownloadRefused, match="is not public"):
        check_address(address, DownloadLimits())


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:4700::1111"])
def test_a_public_address_is_accepted(address: str) -> None:
    check_address(address, DownloadLimits())


def _resolve(monkeypatch: pytest.MonkeyPatch, resolve: Callable[[str], str]) -> None:
    """Resolve host names by a function; literal addresses as always."""
    original = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *options: object, **named: object) -> object:
        name = host if host.replace(".", "").isdigit() else resolve(host)
        return original(name, port, *options, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def _connect_to_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect to this machine instead of to a public address, which tests must not reach."""
    loop = asyncio.get_running_loop()
    original = loop.sock_connect

    async def sock_connect(sock: socket.socket, address: tuple[str, int]) -> None:
        await original(sock, ("127.0.0.1", address[1]))

    monkeypatch.setattr(loop, "sock_connect", sock_connect)
