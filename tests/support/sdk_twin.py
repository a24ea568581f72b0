"""The text model served by the SDK's own REST and gRPC front ends, for comparison."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.types import ASGIApp, Message

from product_classifier.text.model import TextModel

sys.argv[1:], _given = [], sys.argv[1:]  # the SDK reads them when it is imported

from kserve import InferOutput, InferRequest, InferResponse, Model, ModelRepository  # noqa: E402
from kserve.errors import InvalidInput  # noqa: E402
from kserve.model_server import app  # noqa: E402
from kserve.protocol.dataplane import DataPlane  # noqa: E402
from kserve.protocol.grpc.servicer import InferenceServicer  # noqa: E402
from kserve.protocol.model_repository_extension import ModelRepositoryExtension  # noqa: E402
from kserve.protocol.rest.server import RESTServer  # noqa: E402

sys.argv[1:] = _given


class Twin(Model):
    """The text model as the SDK's documentation shows it."""

    def __init__(self, name: str, model: TextModel) -> None:
        super().__init__(name)
        self._model = model
        self.ready = True

    async def predict(
        self, payload: dict[str, Any] | InferRequest, headers: dict[str, str] | None = None
    ) -> dict[str, Any] | InferResponse:
        if isinstance(payload, dict):
            rows = payload["instances"]
            titles = [_text(row if isinstance(row, str) else row["designation"]) for row in rows]
            bodies = ["" if isinstance(row, str) else _text(row.get("description", "")) for row in rows]
            return {"predictions": self._model.probabilities(titles, bodies).tolist()}
        columns = {one.name: [_text(value) for value in one.data or one.as_numpy().ravel()] for one in payload.inputs}
        titles = columns["designation"]
        probabilities = self._model.probabilities(titles, columns.get("description", [""] * len(titles)))
        output = InferOutput("probabilities", list(probabilities.shape), "FP32")
        output.set_data_from_numpy(probabilities, binary_data=payload.from_grpc)
        return InferResponse(payload.id or "made-up", self.name, [output])


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode()
    if not isinstance(value, str):
        raise InvalidInput(f"{value!r} is not text")
    return value


def front_ends(model: Model) -> tuple[ASGIApp, InferenceServicer]:
    """Return the SDK's application and gRPC service; call once per process, as the former is a global."""
    models = ModelRepository()
    models.update(model)
    plane = DataPlane(model_registry=models)
    extension = ModelRepositoryExtension(model_registry=models)
    RESTServer("", plane, extension, 8080).create_application()
    return app, InferenceServicer(plane, extension)


@dataclass(frozen=True)
class Response:
    """A response of an ASGI application."""

    status: int
    headers: Mapping[bytes, bytes]
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)


async def post(application: ASGIApp, path: str, body: bytes, headers: Mapping[str, str]) -> Response:
    """Post to an application without a server."""
    sent: list[Message] = []
    given = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [*given, (b"content-length", b"%d" % len(body))],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8080),
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    try:
        await application(scope, receive, send)
    except Exception:
        if not sent:  # the SDK's outermost layer responds with 500 and raises again
            raise
    start, *rest = sent
    return Response(start["status"], dict(start["headers"]), b"".join(part.get("body", b"") for part in rest))
