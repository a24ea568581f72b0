"""Client of a predictor over HTTP: V2, with photos and probabilities as binary tensors."""

import asyncio
import base64
import time
from collections.abc import Mapping
from typing import Any

import orjson

from inference.fusion_transformer.predictor_client import (
    EXPLANATION_DEADLINE_S,
    IMAGE,
    TEXT,
    Columns,
    Connect,
    Prediction,
    PredictorClient,
    check_prediction,
)
from inference.fusion_transformer.settings import Settings
from inference.http.http_client import HttpClient, TransportError
from inference.http.problems import InvalidTensor, ReleaseNotLoaded
from inference.http.request_user import USER_HEADER, request_user
from inference.oip.client import (
    HEADER_LENGTH,
    DecodedResponse,
    InvalidResponse,
    decode_error,
    decode_response,
    encode_request,
)
from product_classifier.errors import InvalidInput, ModelUnavailable
from product_classifier.observability import request_id, traceparent
from product_classifier.taxonomy.stored_codes import to_stored

IDLE_S = 30.0
"""How long an idle connection stays open: less than the predictors' 65 s, so that they rarely close it first."""
RETRY_S = 0.3
"""How long a request is sent again when a predictor stops responding; then the response is degraded."""
PROBE_S = 1.0
"""Seconds a live predictor takes at most to respond to a probe, which needs none of its threads."""
_LIVE = "/v2/health/live"
_CLIENT_ERRORS = range(400, 500)
_SERVER_FAULTS = frozenset({502, 504})
"""Not 500, which can be about one photo, and not 503, with which an overloaded server responds at once."""
_NOT_FOUND = 404
_OK = 200


class CircuitBreaker:
    """Skips a predictor for `reset_s` seconds after `limit` faults in a row.

    A fault is a refused or broken connection, a status of a failing server, or a probe without a response after a
    missed deadline; neither a slow or refused request nor an overloaded server is one.
    """

    def __init__(self, limit: int = 3, reset_s: float = 2.0) -> None:
        self._limit, self._reset_s = limit, reset_s
        self._faults = 0
        self._open_until = 0.0

    def is_open(self) -> bool:
        """Return whether to skip the predictor; after `reset_s`, one request per `reset_s` is admitted."""
        if self._faults < self._limit:
            return False
        if (now := time.monotonic()) < self._open_until:
            return True
        self._open_until = now + self._reset_s
        return False

    def record(self, *, healthy: bool) -> None:
        """Record a response, or a fault."""
        self._faults = 0 if healthy else self._faults + 1
        if self._faults == self._limit:
            self._open_until = time.monotonic() + self._reset_s


def connect_over_http(settings: Settings) -> Connect:
    """Return a `Connect` for the predictors at the addresses of the settings."""
    addresses = {TEXT: (settings.text_url, settings.text_model), IMAGE: (settings.image_url, settings.image_model)}
    return lambda modality, deadline_s: HttpPredictorClient(*addresses[modality], deadline_s, settings.connections)


class HttpPredictorClient(PredictorClient):
    """Sends requests to a predictor in another process."""

    def __init__(self, url: str, model: str, deadline_s: float, connections: int) -> None:
        super().__init__(model)
        self._client = HttpClient(url, connections, IDLE_S, RETRY_S)
        self._target = f"/v2/models/{model}/infer"
        self._deadline_s = deadline_s
        self._breaker = CircuitBreaker()
        self._probe_client = HttpClient(url, 1, IDLE_S)  # its own: requests may occupy all connections of the other
        self._probe: asyncio.Task[None] | None = None
        self._missed = 0
        """Deadlines missed since the last probe."""

    async def _predict(self, columns: Columns, classes: int, release: str) -> Prediction:
        if self._breaker.is_open():
            raise ModelUnavailable(f"{self.model} failed several times in a row; requests resume within seconds")
        body, headers = encode_request(columns, release=release)
        headers |= _context_headers()
        try:
            async with asyncio.timeout(self._deadline_s):
                reply = await self._client.request("POST", self._target, headers, body)
        except TimeoutError as error:
            self._check_liveness()
            raise ModelUnavailable(f"{self.model} did not respond within {self._deadline_s:g} s") from error
        except TransportError as error:
            self._breaker.record(healthy=False)
            raise ModelUnavailable(f"{self.model} cannot be reached: {error}") from error
        self._breaker.record(healthy=reply.status not in _SERVER_FAULTS)
        if reply.status != _OK:
            raise _error(self.model, reply.status, reply.body)
        try:
            response = decode_response(reply.body, reply.header(HEADER_LENGTH))
        except InvalidResponse as error:
            raise ModelUnavailable(f"{self.model}: {error}") from error
        return prediction_in(self.model, response, len(next(iter(columns.values()))), classes)

    async def _explain(self, columns: Columns, release: str, code: str, heat_map: bool) -> Mapping[str, Any]:
        if self._breaker.is_open():
            raise ModelUnavailable(f"{self.model} failed several times in a row; requests resume within seconds")
        parameters = {"code": to_stored(code), "heat_map": heat_map} | ({"release": release} if release else {})
        body = orjson.dumps({"instances": [_v1_instance(columns)], "parameters": parameters})
        headers = {"Content-Type": "application/json"} | _context_headers()
        try:
            async with asyncio.timeout(EXPLANATION_DEADLINE_S):
                reply = await self._client.request("POST", f"/v1/models/{self.model}:explain", headers, body)
        except TimeoutError as error:
            raise ModelUnavailable(f"{self.model} did not explain within {EXPLANATION_DEADLINE_S:g} s") from error
        except TransportError as error:
            self._breaker.record(healthy=False)
            raise ModelUnavailable(f"{self.model} cannot be reached: {error}") from error
        if reply.status != _OK:
            raise _error(self.model, reply.status, reply.body)
        match decode_error(reply.body):
            case {"explanations": [dict(explanation)]}:
                return explanation
        raise ModelUnavailable(f"{self.model} responded without an explanation")

    def _check_liveness(self) -> None:
        """Count a missed deadline only if the predictor does not respond at all: a photo may take long to decode."""
        self._missed += 1
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._measure_liveness())

    async def _measure_liveness(self) -> None:
        try:
            async with asyncio.timeout(PROBE_S):
                await self._probe_client.request("GET", _LIVE, {}, b"")
        except (TimeoutError, TransportError):
            for _ in range(self._missed):
                self._breaker.record(healthy=False)
        else:
            self._breaker.record(healthy=True)
        self._missed = 0

    def close(self) -> None:
        """Close every connection."""
        if self._probe is not None:
            self._probe.cancel()
        self._client.close()
        self._probe_client.close()


def prediction_in(model: str, response: DecodedResponse, rows: int, classes: int) -> Prediction:
    """Return the checked prediction of a response; raise ModelUnavailable if it is not the requested one."""
    try:
        parameters = response.parameters
        taxonomy = str(parameters.get("taxonomy", ""))
        outputs = response.outputs
        release, codes = str(parameters["release"]), outputs.get("codes")
        prediction = Prediction(outputs["probabilities"], release, taxonomy, codes)
    except KeyError as error:
        raise ModelUnavailable(f"{model}: the response has no {error}") from error
    return check_prediction(model, prediction, rows, classes)


def _v1_instance(columns: Columns) -> dict[str, Any]:
    """Return the first row of the columns as a V1 instance."""
    first = {name: values[0] for name, values in columns.items()}
    return {
        name: {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
        for name, value in first.items()
    }


def _context_headers() -> dict[str, str]:
    """Return the headers that name the request, its user and its trace."""
    found = {"X-Request-Id": request_id.get(), USER_HEADER: request_user.get(), "traceparent": traceparent.get()}
    return {name: value for name, value in found.items() if value}


def _error(model: str, status: int, body: bytes) -> Exception:
    """Return the exception that a predictor reported, or ModelUnavailable."""
    document = decode_error(body)
    if "error" not in document:
        return ModelUnavailable(f"{model} responded with status {status}")
    reason = str(document["error"])
    if status == _NOT_FOUND and document.get("kind") == "release_not_loaded":
        return ReleaseNotLoaded(reason)
    if status == _NOT_FOUND or status not in _CLIENT_ERRORS:
        return ModelUnavailable(f"{model} responded with status {status}")
    row, tensor = document.get("row"), document.get("input")
    if isinstance(tensor, str):
        return InvalidTensor(str(document.get("reason")), tensor=tensor, row=row if isinstance(row, int) else None)
    return InvalidInput(reason)
