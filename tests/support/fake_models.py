"""Fakes of the services behind the gateway: HTTP servers that record requests and can fail."""

import asyncio
import base64
import contextlib
import hashlib
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import uvicorn
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from inference.auth_proxy.predictions.explanation_schemas import V1ExplainRequest
from inference.auth_proxy.predictions.oip_schemas import V1PredictRequest, V2InferRequest
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.taxonomy import Taxonomy
from product_classifier.taxonomy.folder import to_bytes

HEADER_LENGTH = "inference-header-content-length"


@dataclass
class RecordedRequest:
    """A request as it was received."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class FakeModels:
    """All three models in one server; a category is a hash, a photo that contains `broken` is rejected."""

    def __init__(self) -> None:
        self.seen: list[RecordedRequest] = []
        self.silent: set[str] = set()
        self.away = False
        self.delay_s = 0.0
        self.status = 0
        self.cannot_explain = False
        self.threshold: float | None = 0.5
        """Confidence above which a prediction is accepted; None omits the decision, as earlier versions do."""
        self.taxonomy: Taxonomy | None = None
        """Taxonomy that the fusion names, with the challenge's codes; None names none, as earlier versions do."""
        self.strict = False
        """Whether V1 requests and the JSON before binary tensors are validated."""

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v2/models/{model}/infer", self._infer, methods=["POST"]),
                Route("/v2/models/{model}/ready", self._ready),
                Route("/v1/models/fusion-transformer:explain", self._explain, methods=["POST"]),
                Route("/v2/models/fusion-transformer/taxonomies/{digest}", self._taxonomy),
                Route("/{rest:path}", self._echo, methods=["GET", "POST", "PUT", "DELETE"]),
            ]
        )

    async def _record(self, request: Request) -> bytes:
        body = await request.body()
        url = request.url
        self.seen.append(RecordedRequest(request.method, url.path, url.query, dict(request.headers), body))
        await asyncio.sleep(self.delay_s)
        return body

    async def _ready(self, request: Request) -> Response:
        await self._record(request)
        return JSONResponse({"ready": not self.away}, 503 if self.away else 200)

    async def _taxonomy(self, request: Request) -> Response:
        await self._record(request)
        if self.taxonomy is None or request.path_params["digest"] != self.taxonomy.digest:
            return JSONResponse({"error": "not in memory"}, 404)
        return Response(to_bytes(self.taxonomy), media_type="application/json")

    async def _echo(self, request: Request) -> Response:
        body = await self._record(request)
        if request.url.path.endswith("/infer") and self.strict:
            return self._as_v2_client(body, request)
        if request.url.path.endswith(":predict") and self.strict and not _is_valid(V1PredictRequest, body):
            return JSONResponse({"error": "no instances"}, 400)
        if request.url.path.endswith(":explain") and self.strict and not _is_valid(V1ExplainRequest, body):
            return JSONResponse({"error": "no instances"}, 400)
        if self.status:
            return Response("Traceback (most recent call last): secret", self.status, {"Location": "http://other/"})

        async def chunks() -> AsyncIterator[bytes]:
            named = {"properties": {"taxonomy": self.taxonomy.digest}} if self.taxonomy else {}
            yield orjson.dumps({"path": request.url.path, "length": len(body), **named, **_required_members(request)})

        return StreamingResponse(chunks(), media_type="application/json", headers={"X-Backend": "internal"})

    async def _infer(self, request: Request) -> Response:
        body = await self._record(request)
        if self.away or self.status:
            return JSONResponse({"error": "Traceback: down"}, self.status or 503)
        if request.path_params["model"] != "fusion-transformer" or HEADER_LENGTH not in request.headers:
            return self._as_v2_client(body, request)
        try:
            columns = _decode_columns(body, int(request.headers[HEADER_LENGTH]))
        except (ValueError, KeyError, TypeError, struct.error):
            return JSONResponse({"error": "no inputs"}, 400)
        for row, photo in enumerate(columns["image"]):
            if b"broken" in photo:
                reason = "the JPEG ends early"
                return JSONResponse({"error": reason, "input": "image", "row": row, "reason": reason}, 400)
        return self._respond(columns)

    async def _explain(self, request: Request) -> Response:
        body = await self._record(request)
        if self.away or self.status or self.cannot_explain:
            return JSONResponse({"error": "2 explanations are in progress"}, self.status or 503)
        if not _is_valid(V1ExplainRequest, body):
            return JSONResponse({"error": "no instances"}, 400)
        rows = [one for one in orjson.loads(body)["instances"] if isinstance(one, dict)]
        texts = [f"{one.get('designation', '')}{one.get('description', '')}".encode() for one in rows]
        photos = [_photo(one.get("image")) for one in rows]
        for row, photo in enumerate(photos):
            if b"broken" in photo:
                reason = "the JPEG ends early"
                return JSONResponse({"error": reason, "input": "image", "row": row, "reason": reason}, 400)
        outputs, about = self._predict(texts, photos)
        columns = {name: np.nan_to_num(values).tolist() for name, values in outputs.items()}
        predictions = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        explanations = [
            fake_explanation(one["code"], bool(photo)) for one, photo in zip(predictions, photos, strict=True)
        ]
        return JSONResponse({"explanations": explanations, "predictions": predictions, "model_version": "1", **about})

    def _as_v2_client(self, body: bytes, request: Request) -> Response:
        length = request.headers.get(HEADER_LENGTH)
        if self.strict and length is not None and not length.isdecimal():
            return JSONResponse({"error": "the length of the header is not a number"}, 400)
        head = body[: int(length)] if length and length.isdecimal() else body
        if (length is None or self.strict) and not _is_valid(V2InferRequest, head):
            return JSONResponse({"error": "no inputs"}, 400)
        model = request.url.path.split("/")[3]  # of /v2/models/{model}[/versions/{version}]/infer
        return JSONResponse({"model_name": model, "outputs": []})

    def _respond(self, columns: dict[str, list[bytes]]) -> Response:
        texts = [a + b for a, b in zip(columns["designation"], columns["description"], strict=True)]
        return _binary(*self._predict(texts, columns["image"]))

    def _predict(self, texts: list[bytes], photos: list[bytes]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return the outputs of the fusion and its response parameters."""
        text, image = _distributions(texts), _distributions(photos)
        requested = {"text": any(texts), "image": any(photos)}
        responding = [name for name in requested if requested[name] and name not in self.silent]
        parts = {"text": text, "image": image}
        fused = sum((np.nan_to_num(parts[name]) for name in responding), np.zeros_like(text)) + 1e-6
        fused = (fused / fused.sum(axis=1, keepdims=True)).astype(np.float32)
        outputs = {
            "probabilities": fused,
            "code": np.array([int(CHALLENGE.codes[i]) for i in fused.argmax(axis=1)], np.int64),
            "text_probabilities": text,
            "image_probabilities": image,
        }
        degraded = any(requested[name] for name in self.silent)
        about = {"degraded": degraded, "modalities": ",".join(responding), "release": "r-20260101T000000-0000aaaa"}
        if self.taxonomy is not None:
            about["taxonomy"] = self.taxonomy.digest
        if self.threshold is not None:
            about["decision"] = ",".join("accept" if one.max() > self.threshold else "review" for one in fused)
        return outputs, about


class FakeFeedback:
    """A feedback service that returns the responses of `responses`, by path."""

    def __init__(self) -> None:
        self.seen: list[RecordedRequest] = []
        self.status = 0
        self.responses: dict[str, Any] = {}

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{rest:path}", self._respond, methods=["GET", "POST"])])

    async def _respond(self, request: Request) -> Response:
        body = await request.body()
        self.seen.append(
            RecordedRequest(request.method, request.url.path, request.url.query, dict(request.headers), body)
        )
        if self.status:
            return Response("Traceback (most recent call last)", self.status)
        status = {"/feedback": 201, "/retrain": 202}.get(request.url.path, 200) if request.method == "POST" else 200
        return JSONResponse(self.responses.get(request.url.path, {"path": request.url.path}), status)


@contextlib.contextmanager
def served(app: Any, **options: Any) -> Iterator[str]:
    """Serve an ASGI application from a thread on a free port; yield its URL."""
    settings = {"log_level": "critical", "log_config": None, "ws": "none", "lifespan": "off", **options}
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, **settings))
    with running(server) as port:
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def running(server: uvicorn.Server, **options: Any) -> Iterator[int]:
    """Run a uvicorn server in a thread until the end of the block; yield its port."""
    thread = threading.Thread(target=server.run, kwargs=options, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the server did not start")
        threading.Event().wait(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(timeout=10)


def _photo(value: object) -> bytes:
    return base64.b64decode(value["b64"]) if isinstance(value, dict) and "b64" in value else b""


def fake_explanation(code: int, has_photo: bool) -> dict[str, Any]:
    """Return an explanation as the fusion responds it."""
    one = {"weight": 1.0, "probability": 0.9, "contribution": 2.0}
    word = {"text": "x", "field": "designation", "start": 0, "end": 1, "contribution": 2.0}
    text = {"method": "linear", "score": 1.5, "intercept": -0.5, "omitted_words": 0, "words": [word]}
    fusion = {"score": 2.0, "intercept": 0.0, "text": one, "image": one if has_photo else None}
    image = {"method": "occlusion", "grid": [[0.0]], "heat_map": None} if has_photo else None
    return {"code": code, "probability": 0.9, "fusion": fusion, "text": text, "image": image}


def _is_valid(model: type[BaseModel], body: bytes) -> bool:
    try:
        model.model_validate_json(body)
    except ValidationError:
        return False
    return True


def _required_members(request: Request) -> dict[str, object]:
    """Return what the OpenAPI document requires in the response."""
    if request.url.path.endswith(":explain"):
        return {"explanations": []}
    if request.url.path.endswith(":predict"):
        return {"predictions": []}
    return {"name": request.url.path.split("/")[3]} if request.url.path.startswith("/v2/models/") else {}


def _decode_columns(body: bytes, header_length: int) -> dict[str, list[bytes]]:
    tail = body[header_length:]
    columns = {}
    for tensor in orjson.loads(body[:header_length])["inputs"]:
        size = tensor["parameters"]["binary_data_size"]
        columns[tensor["name"]] = _unpack(tail[:size])
        tail = tail[size:]
    return columns


def _unpack(packed: bytes) -> list[bytes]:
    values = []
    while packed:
        (size,) = struct.unpack_from("<I", packed)
        values.append(packed[4 : 4 + size])
        packed = packed[4 + size :]
    return values


def _distributions(values: list[bytes]) -> np.ndarray:
    rows = np.full((len(values), len(CHALLENGE.codes)), np.nan, np.float32)
    for row, value in enumerate(values):
        if value:
            rows[row] = 0.1 / (len(CHALLENGE.codes) - 1)
            rows[row, hashlib.sha256(value).digest()[0] % len(CHALLENGE.codes)] = 0.9
    return rows


def _binary(outputs: dict[str, np.ndarray], parameters: dict[str, Any]) -> Response:
    kinds = {np.dtype("float32"): "FP32", np.dtype("int64"): "INT64"}
    packed = [values.tobytes() for values in outputs.values()]
    described = [
        {
            "name": name,
            "datatype": kinds[values.dtype],
            "shape": list(values.shape),
            "parameters": {"binary_data_size": values.nbytes},
        }
        for name, values in outputs.items()
    ]
    header = orjson.dumps({"model_name": "fusion-transformer", "parameters": parameters, "outputs": described})
    return Response(
        b"".join([header, *packed]),
        media_type="application/octet-stream",
        headers={HEADER_LENGTH: str(len(header))},
    )
