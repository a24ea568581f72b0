"""A model server before its first release: alive, so that nothing restarts it, and not ready, so that nobody is sent.

In a cluster the pod is replaced by one that has a release. Where a release appears in the folder, it is served.
"""

import asyncio
import contextlib
import signal
from collections.abc import Iterator

import orjson
import uvicorn
from starlette.types import Receive, Scope, Send

from inference.http.problems import oip_error
from inference.model_server.flags import Flags
from inference.model_server.loaded_releases import is_empty
from inference.model_server.sockets import listen
from product_classifier.errors import ModelUnavailable
from product_classifier.observability import get_logger, set_request_id

LIVE = frozenset({"/", "/v2/health/live"})
SOON_S = 0.2
"""How often a folder without a release is looked at; somebody may be waiting for the first answer."""

log = get_logger()


def wait_for_release(flags: Flags) -> bool:
    """Answer that there is nothing to serve; True once there is, False when told to stop before."""
    return asyncio.run(_wait(flags))


async def _wait(flags: Flags) -> bool:
    server = _Server(
        uvicorn.Config(_Nothing(flags.model_name), log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    )
    with listen(flags.host, flags.http_port) as door:
        appearance = asyncio.create_task(_appearance(flags))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, appearance.cancel)
        log.info("waiting_for_release", model_dir=str(flags.model_dir))
        serving = asyncio.create_task(server.serve([door]))
        await asyncio.wait({appearance})
        server.should_exit = True
        await serving
    return not appearance.cancelled()


async def _appearance(flags: Flags) -> None:
    while is_empty(flags.model_dir, flags.release):  # noqa: ASYNC110 - a folder tells nobody that it changed
        await asyncio.sleep(min(flags.poll_s, SOON_S))


class _Server(uvicorn.Server):
    """Uvicorn, with the signals left to us: it would raise them again once it has stopped."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Nothing:
    """The doors of a model server with nothing behind them; gRPC has no door, which clients take as unavailable."""

    def __init__(self, model: str) -> None:
        self._error = ModelUnavailable(f"{model} has no release yet; it answers when the first one is in service")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        if scope["type"] != "http":
            return
        request_id = set_request_id(dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1"))
        alive = scope["path"] in LIVE
        body = orjson.dumps({"live": True} if alive else oip_error(self._error, request_id)[1])
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        headers += [(b"x-request-id", request_id.encode())] + ([] if alive else [(b"retry-after", b"5")])
        await send({"type": "http.response.start", "status": 200 if alive else 503, "headers": headers})
        await send({"type": "http.response.body", "body": body})
