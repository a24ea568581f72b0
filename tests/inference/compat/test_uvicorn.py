"""uvicorn has the internals that inference/compat/uvicorn.py uses."""

from importlib.metadata import version
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState


def missing(owner: str, name: str, effect: str) -> str:
    return (
        f"uvicorn {version('uvicorn')} has no {owner}.{name}: {effect}; adapt inference/compat/uvicorn.py "
        "and what inherits from its HttpProtocol"
    )


@pytest.fixture
async def protocol() -> HttpToolsProtocol:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Respond to nothing."""

    started = HttpToolsProtocol(uvicorn.Config(app, interface="asgi3"), ServerState(), {})
    started.on_message_begin()
    return started


@pytest.mark.parametrize(
    ("name", "effect"),
    [
        ("scope", "handlers are not cancelled when a client disconnects"),
        ("cycle", "requests that the parser refuses get no problem document"),
        ("transport", "requests that the parser refuses get no problem document"),
        ("parser", "the gateway cannot refuse requests with another HTTP version"),
        ("headers", "the gateway cannot refuse chunks in HTTP/1.0"),
        ("url", "the gateway cannot refuse targets that are no path"),
        ("loop", "the gateway cannot limit the time of headers"),
        ("send_400_response", "requests that the parser refuses get no problem document"),
        ("on_message_begin", "the gateway cannot limit the size of headers"),
        ("on_headers_complete", "the gateway accepts ambiguous requests"),
        ("on_header", "the gateway accepts trailers"),
        ("on_body", "the gateway cannot limit what follows a response"),
        ("on_message_complete", "requests that offer to upgrade lose their body"),
        ("_unset_keepalive_if_required", "connections in use are closed as idle ones"),
        ("connection_made", "the gateway cannot limit the time of headers"),
        ("connection_lost", "handlers are not cancelled when a client disconnects"),
        ("data_received", "the gateway cannot limit the size of headers"),
    ],
)
async def test_the_protocol_has_the_attributes_that_are_used(
    protocol: HttpToolsProtocol, name: str, effect: str
) -> None:
    assert hasattr(protocol, name), missing("HttpToolsProtocol", name, effect)


@pytest.mark.parametrize("name", ["response_started", "response_complete", "disconnected", "message_event"])
def test_a_request_cycle_has_the_attributes_that_are_used(name: str) -> None:
    assert name in RequestResponseCycle.__init__.__code__.co_names, missing(
        "RequestResponseCycle", name, "requests that the parser refuses get no problem document"
    )


@pytest.mark.parametrize(
    ("name", "effect"),
    [
        ("capture_signals", "a signal stops REST without gRPC"),
        ("startup", "a model server reports that it started before it listens"),
        ("serve", "a model server cannot serve on a socket bound before"),
    ],
)
def test_a_server_has_the_methods_that_are_overridden(name: str, effect: str) -> None:
    assert callable(getattr(uvicorn.Server, name, None)), missing("Server", name, effect)
