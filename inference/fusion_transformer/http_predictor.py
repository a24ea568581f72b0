"""The way from the fusion to one predictor: V2 over pooled HTTP, photos and probabilities as bytes."""

import asyncio
import time

from inference.fusion_transformer.predictor_client import (
    IMAGE,
    TEXT,
    Columns,
    Connect,
    Prediction,
    PredictorClient,
    checked,
)
from inference.fusion_transformer.settings import Settings
from inference.http.http_client import HttpClient, TransportError
from inference.http.problems import InvalidTensor, ReleaseNotLoaded
from inference.oip.client import (
    HEADER_LENGTH,
    DecodedResponse,
    InvalidResponse,
    decode_error,
    decode_response,
    encode_request,
)
from product_classifier.errors import InvalidInput, ModelUnavailable
from product_classifier.observability import request_id

KEEP_S = 30.0
"""How long an unused connection is kept: less than the predictors keep it, so that they rarely hang up first."""
_CLIENT_ERRORS = range(400, 500)
_NOT_FOUND = 404
_OK = 200


class CircuitBreaker:
    """Stops asking for a moment after several missed deadlines in a row, so that not every caller waits for one."""

    def __init__(self, limit: int = 3, rest_s: float = 2.0) -> None:
        self._limit, self._rest_s = limit, rest_s
        self._missed = 0
        self._until = 0.0

    def is_open(self) -> bool:
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


def connect_over_http(settings: Settings) -> Connect:
    """Ask the predictors where the settings say they are."""
    places = {TEXT: (settings.text_url, settings.text_model), IMAGE: (settings.image_url, settings.image_model)}
    return lambda modality, deadline_s: HttpPredictorClient(*places[modality], deadline_s, settings.connections)


class HttpPredictorClient(PredictorClient):
    """Asks a predictor that has a process of its own."""

    def __init__(self, url: str, model: str, deadline_s: float, connections: int) -> None:
        super().__init__(model)
        self._client = HttpClient(url, connections, KEEP_S)
        self._target = f"/v2/models/{model}/infer"
        self._deadline_s = deadline_s
        self._fuse = CircuitBreaker()

    async def _ask(self, columns: Columns, classes: int, release: str) -> Prediction:
        if self._fuse.is_open():
            raise ModelUnavailable(f"{self.model} missed its deadline too often; it is asked again in a moment")
        body, headers = encode_request(columns, release=release)
        if current := request_id.get():
            headers["X-Request-Id"] = current
        try:
            async with asyncio.timeout(self._deadline_s):
                reply = await self._client.request("POST", self._target, headers, body)
        except TimeoutError as error:
            self._fuse.record(in_time=False)
            raise ModelUnavailable(f"{self.model} did not answer within {self._deadline_s:g} s") from error
        except TransportError as error:
            raise ModelUnavailable(f"{self.model} cannot be reached ({error})") from error
        self._fuse.record(in_time=True)
        if reply.status != _OK:
            raise _refusal(self.model, reply.status, reply.body)
        rows = next(len(values) for values in columns.values())
        try:
            response = decode_response(reply.body, reply.header(HEADER_LENGTH))
        except InvalidResponse as error:
            raise ModelUnavailable(f"{self.model}: {error}") from error
        return prediction_in(self.model, response, rows, classes)

    def close(self) -> None:
        """Close every connection."""
        self._client.close()


def prediction_in(model: str, response: DecodedResponse, rows: int, classes: int) -> Prediction:
    """Return the checked probabilities of a response; raise ModelUnavailable if they are not those requested."""
    try:
        prediction = Prediction(response.outputs["probabilities"], str(response.parameters["release"]))
    except KeyError as error:
        raise ModelUnavailable(f"{model}: the response has no {error}") from error
    return checked(model, prediction, rows, classes)


def _refusal(model: str, status: int, body: bytes) -> Exception:
    """Turn an error answer back into the error it was."""
    document = decode_error(body)
    if "error" not in document:
        return ModelUnavailable(f"{model} answered status {status}")
    reason = str(document["error"])
    if status == _NOT_FOUND and document.get("kind") == "release_not_loaded":
        return ReleaseNotLoaded(reason)
    if status == _NOT_FOUND or status not in _CLIENT_ERRORS:
        return ModelUnavailable(f"{model} answered status {status}")
    row, tensor = document.get("row"), document.get("input")
    if isinstance(tensor, str):
        return InvalidTensor(str(document.get("reason")), tensor=tensor, row=row if isinstance(row, int) else None)
    return InvalidInput(reason)
