"""The way from the fusion to one predictor: V2 over pooled HTTP, photos and probabilities as bytes."""

import asyncio
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import numpy as np
import orjson
from numpy.typing import NDArray

from inference.errors import InvalidTensor, ReleaseNotLoaded
from inference.model_server.measures import HOPS
from product_classifier.errors import InvalidInput, ModelUnavailable
from product_classifier.observability import get_logger, request_id

HEADER_LENGTH = "Inference-Header-Content-Length"
_LENGTH = struct.Struct("<I")
_CLIENT_ERRORS = range(400, 500)
_NOT_FOUND = 404
_OK = 200

log = get_logger()
Columns = Mapping[str, list[str] | list[bytes]]


@dataclass(frozen=True)
class Opinion:
    """What a predictor thinks of some rows, and which release it thinks with."""

    probabilities: NDArray[np.float32]
    release: str


class Fuse:
    """Stops asking for a moment after several missed deadlines in a row, so that not every caller waits for one."""

    def __init__(self, limit: int = 3, rest_s: float = 2.0) -> None:
        self._limit, self._rest_s = limit, rest_s
        self._missed = 0
        self._until = 0.0

    def blown(self) -> bool:
        """Whether to spare the predictor; once the rest is over, one caller at a time tries again."""
        if self._missed < self._limit:
            return False
        if (now := time.monotonic()) < self._until:
            return True
        self._until = now + self._rest_s
        return False

    def record(self, *, in_time: bool) -> None:
        """Note how a question ended."""
        self._missed = 0 if in_time else self._missed + 1
        if self._missed == self._limit:
            self._until = time.monotonic() + self._rest_s


class Hop:
    """Asks one predictor."""

    def __init__(self, session: aiohttp.ClientSession, url: str, model: str, deadline_s: float) -> None:
        self.model = model
        self._session = session
        self._url = f"{url}/v2/models/{model}/infer"
        self._deadline_s = deadline_s
        self._fuse = Fuse()

    async def ask(self, columns: Columns, classes: int, release: str) -> Opinion:
        """Ask for the probabilities of some rows, by one release if one is named.

        Raises:
            InvalidTensor: If the predictor cannot use a row; the row is counted within `columns`.
            InvalidInput: If the predictor cannot use the request.
            ReleaseNotLoaded: If the predictor does not have this release.
            ModelUnavailable: If it is down, slow, overloaded or answers nonsense.
        """
        try:
            opinion = await self._ask_in_time(columns, classes, release)
        except ModelUnavailable as error:
            HOPS.labels(self.model, "unavailable").inc()
            log.warning("predictor_unavailable", predictor=self.model, reason=str(error))
            raise
        except (InvalidInput, ReleaseNotLoaded) as error:
            HOPS.labels(self.model, "refused").inc()
            raise error from None
        HOPS.labels(self.model, "ok").inc()
        return opinion

    async def _ask_in_time(self, columns: Columns, classes: int, release: str) -> Opinion:
        if self._fuse.blown():
            raise ModelUnavailable(f"{self.model} missed its deadline too often; it is asked again in a moment")
        body, headers = encode(columns, release)
        try:
            async with asyncio.timeout(self._deadline_s):
                status, head, answer = await self._post(body, headers)
        except TimeoutError as error:
            self._fuse.record(in_time=False)
            raise ModelUnavailable(f"{self.model} did not answer within {self._deadline_s:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ModelUnavailable(f"{self.model} cannot be reached ({type(error).__name__})") from error
        self._fuse.record(in_time=True)
        if status != _OK:
            raise _refusal(self.model, status, answer)
        rows = next(len(values) for values in columns.values())
        return decode(self.model, head, answer, rows, classes)

    async def _post(self, body: bytes, headers: dict[str, str]) -> tuple[int, str | None, bytes]:
        for attempt in (1, 2):
            try:
                async with self._session.post(self._url, data=body, headers=headers) as reply:
                    return reply.status, reply.headers.get(HEADER_LENGTH), await reply.read()
            except (aiohttp.ServerDisconnectedError, ConnectionResetError):
                # A kept connection the server had just closed. Asking twice changes nothing, so ask once more.
                if attempt == 2:
                    raise
        raise AssertionError("unreachable")


def encode(columns: Columns, release: str) -> tuple[bytes, dict[str, str]]:
    """Write a V2 request: texts in the JSON, photos behind it."""
    tensors, tail = [], []
    for name, values in columns.items():
        tensor: dict[str, Any] = {"name": name, "shape": [len(values)], "datatype": "BYTES"}
        if isinstance(values[0], bytes):
            packed = [part for value in values for part in (_LENGTH.pack(len(value)), value)]
            tensor["parameters"] = {"binary_data_size": sum(map(len, packed))}
            tail += packed
        else:
            tensor["data"] = values
        tensors.append(tensor)
    parameters: dict[str, Any] = {"binary_data_output": True}
    if release:
        parameters["release"] = release
    head = orjson.dumps({"inputs": tensors, "parameters": parameters})
    headers = {"Content-Type": "application/octet-stream", HEADER_LENGTH: str(len(head))}
    if current := request_id.get():
        headers["X-Request-Id"] = current
    return b"".join([head, *tail]), headers


def decode(model: str, header_length: str | None, body: bytes, rows: int, classes: int) -> Opinion:
    """Read a V2 response; anything but the probabilities asked for is a predictor out of order."""
    try:
        size = int(header_length or "")
        document = orjson.loads(body[:size])
        (output,) = document["outputs"]
        probabilities = np.frombuffer(body, "<f4", offset=size).reshape(output["shape"])
        release = str(document["parameters"]["release"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelUnavailable(f"{model} answered what is not a V2 response") from error
    if probabilities.shape != (rows, classes) or not np.isfinite(probabilities).all():
        raise ModelUnavailable(f"{model} answered {probabilities.shape}, not {(rows, classes)} finite probabilities")
    return Opinion(probabilities, release)


def _refusal(model: str, status: int, body: bytes) -> Exception:
    """Turn an error answer back into the error it was."""
    try:
        document = orjson.loads(body)
        reason = str(document["error"])
    except (ValueError, KeyError, TypeError):
        return ModelUnavailable(f"{model} answered status {status}")
    if status == _NOT_FOUND and document.get("kind") == "release_not_loaded":
        return ReleaseNotLoaded(reason)
    if status == _NOT_FOUND or status not in _CLIENT_ERRORS:
        return ModelUnavailable(f"{model} answered status {status}")
    row, tensor = document.get("row"), document.get("input")
    if isinstance(tensor, str):
        return InvalidTensor(str(document.get("reason")), tensor=tensor, row=row if isinstance(row, int) else None)
    return InvalidInput(reason)


def connect(connections: int) -> aiohttp.ClientSession:
    """Open the pool of connections; needs a running event loop."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit_per_host=connections, limit=0, keepalive_timeout=30, ttl_dns_cache=10),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=1.0),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )
