"""A minimal server with constant fusion responses: python -m benchmarks.fusion_stub PORT [SOCKET]."""

import asyncio
import sys
from typing import Any

import numpy as np
import uvicorn
import uvloop
from starlette.types import Receive, Scope, Send

from inference.oip.rest_codec import encode_v2
from inference.oip.types import ModelRequest, ModelResponse
from product_classifier.catalogue.challenge import CHALLENGE


def reply() -> tuple[bytes, bytes]:
    """Return a V2 response for one product and the length of its JSON part."""
    probabilities = np.full((1, len(CHALLENGE)), 1 / len(CHALLENGE), np.float32)
    outputs = {
        "probabilities": probabilities,
        "code": np.array([CHALLENGE.codes[0]]),
        "text_probabilities": probabilities,
        "image_probabilities": probabilities,
    }
    parameters: dict[str, bool | int | str] = {"degraded": False, "modalities": "text,image"}
    answer = ModelResponse(outputs, "r-20260101T000000-00000000", "fusion-1", parameters)
    body, size = encode_v2("fusion-transformer", ModelRequest(1, {}, id="1", binary_outputs=True), answer)
    return body, b"%d" % (size or 0)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the request and send the constant response."""
    while (await receive()).get("more_body"):
        pass
    ready = scope["method"] == "GET"
    body, size = (b'{"ready":true}', b"") if ready else (BODY, SIZE)
    kind = b"application/json" if ready else b"application/octet-stream"
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    if size:
        headers.append((b"inference-header-content-length", size))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def serve(port: int, path: str | None = None) -> None:
    """Listen on a port and optionally on a unix socket."""
    quiet: dict[str, Any] = {"access_log": False, "log_level": "warning", "lifespan": "off"}
    places: list[dict[str, Any]] = [{"host": "127.0.0.1", "port": port}, *([{"uds": path}] if path else [])]
    configs = [uvicorn.Config(application, **place, **quiet) for place in places]
    await asyncio.gather(*(uvicorn.Server(config).serve() for config in configs))


BODY, SIZE = reply()

if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1]), *sys.argv[2:]))
