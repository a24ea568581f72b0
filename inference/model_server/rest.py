"""REST V1 and V2 as an ASGI application in front of the SDK's.

The SDK decodes binary tensors as UTF-8, responds with 500 to invalid input and puts exception messages into responses,
so inference, metadata and readiness are served here. The SDK serves the rest: `/`, `/metrics`, the lists of models.
"""

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import orjson
from kserve.protocol.dataplane import DataPlane
from starlette.types import ASGIApp, Receive, Scope, Send

from inference.http.bodies import read_body
from inference.http.body_budget import BodyBudget, BodyReservation
from inference.http.disconnects import cancel_on_disconnect
from inference.http.problems import UnknownModel, UnsupportedBody, oip_error, public_message
from inference.http.request_user import USER_HEADER, request_user
from inference.model_server.model import HostedModels, ProductModel, RequestObserver
from inference.oip import rest_codec
from inference.oip.explain import ExplainRequest, ExplainResponse, decode_explain, encode_explain
from inference.oip.tensors import HEADER_LENGTH
from inference.oip.types import ModelRequest, ModelResponse
from product_classifier.limits import MIB
from product_classifier.observability import request_id, set_request_id, set_traceparent
from product_classifier.taxonomy.folder import to_bytes
from product_classifier.tracing import span

V1_VERB = re.compile(r"/v1/models/([^/:]+):(predict|explain)")
V2_INFER = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")
V2_MODEL = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(/ready)?")
V2_TAXONOMY = re.compile(r"/v2/models/([^/]+)/taxonomies/([0-9a-f]{64})")
SDK_ROUTES = re.compile(r"/|/metrics|/v1/models(/[^/:]+)?|/v2/models|/v2/health/live")
EXTENSIONS = ("binary_tensor_data",)
BODY_MEMORY = 512 * MIB
"""Bytes of bodies that are being read. The gateway sends complete bodies, so they are here for a short time."""
UNCOUNTED_BYTES = 65_536
USER_HEADER_KEY = USER_HEADER.lower().encode()
HEADER_LENGTH_KEY = HEADER_LENGTH.lower().encode()

Response = tuple[int, bytes, list[tuple[bytes, bytes]]]
"""Status, body and headers."""
Handler = Callable[[Scope, dict[bytes, bytes], Receive], Awaitable[Response]]


class RestApp:
    """Serves inference, metadata and readiness; other routes go to the SDK's application."""

    def __init__(self, models: HostedModels, dataplane: DataPlane, sdk: ASGIApp, max_body: int) -> None:
        self._models = models
        self._dataplane = dataplane
        self._sdk = sdk
        self._max_body = max_body
        self._budget = BodyBudget(BODY_MEMORY, BODY_MEMORY)
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._sdk(scope, receive, send)
            return
        headers = dict(scope["headers"])
        request_user.set(headers.get(USER_HEADER_KEY, b"").decode("latin-1"))
        given_id = set_request_id(headers.get(b"x-request-id", b"").decode("latin-1"))
        set_traceparent(headers.get(b"traceparent", b"").decode("latin-1"))
        try:
            handler = self._route(scope["method"], scope["path"])
            if handler is None:
                await self._sdk(scope, receive, send)
                return
            if scope["method"] == "POST":
                status, body, extra = await self._traced(handler, scope, headers, receive)
            else:
                status, body, extra = await handler(scope, headers, receive)
        except Exception as error:  # noqa: BLE001 - the boundary of the service
            status, body, extra = _error_response(error, given_id)
        extra += [(b"content-length", b"%d" % len(body)), (b"x-request-id", given_id.encode())]
        await send({"type": "http.response.start", "status": status, "headers": extra})
        await send({"type": "http.response.body", "body": body})

    async def _traced(self, handler: Handler, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Response:
        """Call a handler within a span; an error of it is responded to there, so that the body has its trace id."""
        with span(f"POST {scope['path']}", "server", http__request__method="POST", http__route=scope["path"]) as opened:
            try:
                response = await handler(scope, headers, receive)
            except Exception as error:  # noqa: BLE001 - the boundary of the service
                response = _error_response(error, request_id.get())
            opened.set_status(response[0])
            return response

    def _route(self, method: str, path: str) -> Handler | None:
        if method == "POST":
            if found := V2_INFER.fullmatch(path):
                return partial(self._v2, self._models[found[1]], found[2] or "")
            if found := V1_VERB.fullmatch(path):
                return partial(self._v1 if found[2] == "predict" else self._v1_explain, self._models[found[1]])
        elif method == "GET" and (handler := self._route_of_get(path)) is not None:
            return handler
        if SDK_ROUTES.fullmatch(path):
            if found := re.fullmatch(r"/v1/models/([^/:]+)", path):
                self._models[found[1]]
            return None
        raise UnknownModel(f"no route {method} {public_message(path)}")

    def _route_of_get(self, path: str) -> Handler | None:
        if path == "/v2/health/ready":
            return self._ready
        if path == "/v2":
            return self._server_metadata
        if found := V2_TAXONOMY.fullmatch(path):
            return partial(self._taxonomy, self._models[found[1]], found[2])
        if found := V2_MODEL.fullmatch(path):
            model = self._models[found[1]]
            model.releases.select(version=found[2] or "")
            return partial(self._model_ready if found[3] else self._metadata, model)
        return None

    async def _v2(
        self, model: ProductModel[Any], version: str, scope: Scope, headers: dict[bytes, bytes], receive: Receive
    ) -> Response:
        size = headers.get(HEADER_LENGTH_KEY)
        length = None if size is None else size.decode("latin-1")

        async def read() -> ModelRequest:
            return rest_codec.decode_v2(await self._body(scope, headers, receive), length, model.signature, version)

        request, response = await RequestObserver(model, "v2-binary" if size else "v2").observe(
            read, partial(self._infer, model.name, scope)
        )
        body, json_size = rest_codec.encode_v2(model.name, request, response)
        if json_size is None:
            return 200, body, [(b"content-type", b"application/json")]
        return 200, body, [(b"content-type", b"application/octet-stream"), (HEADER_LENGTH_KEY, b"%d" % json_size)]

    async def _v1(
        self, model: ProductModel[Any], scope: Scope, headers: dict[bytes, bytes], receive: Receive
    ) -> Response:
        async def read() -> ModelRequest:
            return rest_codec.decode_v1(await self._body(scope, headers, receive), model.signature)

        _, response = await RequestObserver(model, "v1").observe(read, partial(self._infer, model.name, scope))
        return 200, rest_codec.encode_v1(response), [(b"content-type", b"application/json")]

    async def _v1_explain(
        self, model: ProductModel[Any], scope: Scope, headers: dict[bytes, bytes], receive: Receive
    ) -> Response:
        async def read() -> ExplainRequest:
            return decode_explain(await self._body(scope, headers, receive), model.signature)

        async def explain(request: ExplainRequest) -> ExplainResponse:
            with cancel_on_disconnect(scope):
                response, _ = await self._dataplane.explain(model.name, request)
            return response  # type: ignore[no-any-return]  # the SDK passes on what the model returned

        _, response = await RequestObserver(model, "v1-explain").observe(read, explain)
        return 200, encode_explain(response), [(b"content-type", b"application/json")]

    async def _infer(self, name: str, scope: Scope, request: ModelRequest) -> ModelResponse:
        with cancel_on_disconnect(scope):
            response, _ = await self._dataplane.infer(name, request)
        return response  # type: ignore[no-any-return]  # the SDK passes on what the model returned

    async def _metadata(self, model: ProductModel[Any], *_: object) -> Response:
        return _json(200, model.metadata())

    async def _taxonomy(self, model: ProductModel[Any], digest: str, *_: object) -> Response:
        for loaded in model.releases.loaded():
            if loaded.taxonomy.digest == digest:
                return 200, to_bytes(loaded.taxonomy), [(b"content-type", b"application/json")]
        raise UnknownModel(f"taxonomy {digest:.12} is not that of a release in memory")

    async def _model_ready(self, model: ProductModel[Any], *_: object) -> Response:
        ready = model.ready and not self.draining
        return _json(200 if ready else 503, {"name": model.name, "ready": ready})

    async def _ready(self, *_: object) -> Response:
        ready = self._models.ready and not self.draining
        return _json(200 if ready else 503, {"name": ",".join(model.name for model in self._models), "ready": ready})

    async def _server_metadata(self, *_: object) -> Response:
        return _json(200, self._dataplane.metadata() | {"extensions": EXTENSIONS})

    async def _body(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        encoding = headers.get(b"content-encoding", b"identity")
        if encoding != b"identity":
            name = public_message(encoding.decode("latin-1"))
            raise UnsupportedBody(f"Content-Encoding {name} is not supported; send the body uncompressed")
        length = int(headers.get(b"content-length", b"-1"))
        if 0 <= length <= UNCOUNTED_BYTES:
            return await read_body(scope, receive, self._max_body)
        reservation = BodyReservation(self._budget, "")
        try:
            return await read_body(scope, receive, self._max_body, reservation=reservation)
        finally:
            reservation.release()


def _error_response(error: Exception, request_id: str) -> Response:
    status, document, extra = oip_error(error, request_id)
    if status == 413:
        extra["Connection"] = "close"
    _, body, headers = _json(status, document)
    return status, body, headers + [(name.lower().encode(), value.encode()) for name, value in extra.items()]


def _json(status: int, content: object) -> Response:
    return status, orjson.dumps(content), [(b"content-type", b"application/json")]
