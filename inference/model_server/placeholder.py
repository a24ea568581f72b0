"""The server that runs before the first release.

It reports live but not ready, so Kubernetes neither restarts the pod nor routes traffic to it. In a cluster the pod is
replaced by one that has a release; a local server loads the first release that is published in its folder.
"""

import asyncio
import signal

import orjson
import uvicorn
from starlette.types import Receive, Scope, Send

from inference.compat.draining import EmbeddedServer
from inference.http.problems import oip_error
from inference.http.sockets import bind_socket
from inference.model_server.flags import Flags
from inference.model_server.loaded_releases import is_empty
from product_classifier.errors import ModelUnavailable
from product_classifier.observability import get_logger, set_request_id, set_traceparent

LIVE_PATHS = frozenset({"/", "/v2/health/live"})
POLL_S = 0.2
"""Longest time between two reads of the folder: shorter than `--poll_s`, as a first run waits for this server."""

log = get_logger()


def wait_for_release(flags: Flags) -> bool:
    """Respond as live but not ready; return True once a release is there, False on SIGTERM or SIGINT."""
    return asyncio.run(_wait(flags))


async def _wait(flags: Flags) -> bool:
    server = EmbeddedServer(
        uvicorn.Config(_NotReady(flags.model_name), log_config=None, lifespan="off", timeout_graceful_shutdown=1),
        drain_s=0,
    )
    with bind_socket(flags.host, flags.http_port) as bound:
        release_found = asyncio.create_task(_until_release(flags))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, release_found.cancel)
        log.info("release_awaited", model_dir=str(flags.model_dir))
        serving = asyncio.create_task(server.serve([bound]))
        await asyncio.wait({release_found})
        server.should_exit = True
        await serving
    return not release_found.cancelled()


async def _until_release(flags: Flags) -> None:
    while is_empty(flags.model_dir, flags.release):  # noqa: ASYNC110 - a folder has no event for changes
        await asyncio.sleep(min(flags.poll_s, POLL_S))


class _NotReady:
    """The HTTP application of a model server without a model; there is no gRPC, which clients see as unavailable."""

    def __init__(self, model: str) -> None:
        self._error = ModelUnavailable(f"{model} has no release yet; it is ready once the first release is promoted")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        if scope["type"] != "http":
            return
        received = dict(scope["headers"])
        request_id = set_request_id(received.get(b"x-request-id", b"").decode("latin-1"))
        set_traceparent(received.get(b"traceparent", b"").decode("latin-1"))
        live = scope["path"] in LIVE_PATHS
        body = orjson.dumps({"live": True} if live else oip_error(self._error, request_id)[1])
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        headers += [(b"x-request-id", request_id.encode())] + ([] if live else [(b"retry-after", b"5")])
        await send({"type": "http.response.start", "status": 200 if live else 503, "headers": headers})
        await send({"type": "http.response.body", "body": body})
