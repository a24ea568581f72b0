"""The way from the fusion to one predictor: V2 over pooled HTTP, photos and probabilities as bytes."""

import asyncio
import struct
import time
from typing import Any

import numpy as np
import orjson

from inference.fusion_transformer.predictor_client import IMAGE, TEXT, Asker, Columns, Connect, Opinion, checked
from inference.fusion_transformer.settings import Settings
from inference.http.client import Client, Unreachable
from inference.http.problems import InvalidTensor, ReleaseNotLoaded
from product_classifier.errors import InvalidInput, ModelUnavailable
from product_classifier.observability import request_id

HEADER_LENGTH = "Inference-Header-Content-Length"
KEEP_S = 30.0
"""How long an unused connection is kept: less than the predictors keep it, so that they rarely hang up first."""
_LENGTH = struct.Struct("<I")
_CLIENT_ERRORS = range(400, 500)
_NOT_FOUND = 404
_OK = 200


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


def over_http(settings: Settings) -> Connect:
    """Ask the predictors where the settings say they are."""
    places = {TEXT: (settings.text_url, settings.text_model), IMAGE: (settings.image_url, settings.image_model)}
    return lambda modality, deadline_s: Hop(*places[modality], deadline_s, settings.connections)


class Hop(Asker):
    """Asks a predictor that has a process of its own."""

    def __init__(self, url: str, model: str, deadline_s: float, connections: int) -> None:
        super().__init__(model)
        self._client = Client(url, connections, KEEP_S)
        self._target = f"/v2/models/{model}/infer"
        self._deadline_s = deadline_s
        self._fuse = Fuse()

    async def _ask(self, columns: Columns, classes: int, release: str) -> Opinion:
        if self._fuse.blown():
            raise ModelUnavailable(f"{self.model} missed its deadline too often; it is asked again in a moment")
        body, headers = encode(columns, release)
        try:
            async with asyncio.timeout(self._deadline_s):
                reply = await self._client.ask("POST", self._target, headers, body)
        except TimeoutError as error:
            self._fuse.record(in_time=False)
            raise ModelUnavailable(f"{self.model} did not answer within {self._deadline_s:g} s") from error
        except Unreachable as error:
            raise ModelUnavailable(f"{self.model} cannot be reached ({error})") from error
        self._fuse.record(in_time=True)
        if reply.status != _OK:
            raise _refusal(self.model, reply.status, reply.body)
        rows = next(len(values) for values in columns.values())
        return decode(self.model, reply.header(HEADER_LENGTH), reply.body, rows, classes)

    def close(self) -> None:
        """Close every connection."""
        self._client.close()


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
    return checked(model, Opinion(probabilities, release), rows, classes)


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
