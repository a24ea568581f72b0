"""Handlers of `/v1/models/**` and `/v2/**`: one V2 server of the three models."""

from importlib.metadata import version

from starlette.types import Receive, Scope, Send

from inference.auth_proxy.collaborators import GatewayDependencies
from inference.auth_proxy.context import RequestContext, context_of, forwarded_headers
from inference.auth_proxy.json_handlers import HandlerResult, json_handler
from inference.auth_proxy.predictions.explanation_cost import count_instances, model_cost
from inference.auth_proxy.predictions.oip_schemas import ModelList, ServerLive, ServerMetadata, ServerReady
from inference.auth_proxy.predictions.photo_quota import spend_for_inference
from inference.auth_proxy.request_body import read_request_body
from inference.http.disconnects import cancel_on_disconnect
from inference.http.problems import Problem
from inference.oip.client import HEADER_LENGTH
from product_classifier.model_names import MODELS

FORWARDED = {b"content-type": "Content-Type", b"accept": "Accept", HEADER_LENGTH.lower().encode(): HEADER_LENGTH}
"""Request headers a model receives; all others are dropped, forged identities among them."""


@json_handler
async def get_server_metadata(_: GatewayDependencies, __: RequestContext) -> HandlerResult[ServerMetadata]:
    """Describe the server (V2)."""
    name = "product-classifier"
    return HandlerResult(ServerMetadata(name=name, version=version(name), extensions=["binary_tensor_data"]))


@json_handler
async def check_server_live(_: GatewayDependencies, __: RequestContext) -> HandlerResult[ServerLive]:
    """Return that the server is live (V2)."""
    return HandlerResult(ServerLive(live=True))


@json_handler
async def check_server_ready(services: GatewayDependencies, _: RequestContext) -> HandlerResult[ServerReady]:
    """Return that every model is ready (V2)."""
    missing = [model for model in MODELS if not await services.backends.ready(model)]
    if missing:
        raise Problem(503, f"not ready: {', '.join(missing)}; try again", kind="model-unavailable")
    return HandlerResult(ServerReady(ready=True))


@json_handler
async def list_models(_: GatewayDependencies, __: RequestContext) -> HandlerResult[ModelList]:
    """Return the names of the models."""
    return HandlerResult(ModelList(models=list(MODELS)))


async def forward_to_model(services: GatewayDependencies, scope: Scope, receive: Receive, send: Send) -> None:
    """Forward a request to a model and stream its response; server errors become problems."""
    services.predictor.refuse_when_full()
    body = await read_request_body(services, scope, receive)
    model = _model_of(scope["path"])
    if body:
        await spend_for_inference(services, scope, body, model)
    with services.predictor.slot(context_of(scope).user.name), cancel_on_disconnect(scope):
        await _forward(services, scope, body, send, model)


async def forward_explanation(services: GatewayDependencies, scope: Scope, receive: Receive, send: Send) -> None:
    """Forward an `:explain` request after what it costs was counted against the rate."""
    services.predictor.refuse_when_full()
    body = await read_request_body(services, scope, receive)
    user, model = context_of(scope).user.name, _model_of(scope["path"])
    await spend_for_inference(services, scope, body, model)
    services.limits.spend_explanations(user, model_cost(model) * await count_instances(body))
    with services.predictor.slot(user), cancel_on_disconnect(scope):
        await _forward(services, scope, body, send, model)


async def _forward(services: GatewayDependencies, scope: Scope, body: bytes, send: Send, model: str) -> None:
    headers = forwarded_headers(scope, FORWARDED)
    method = context_of(scope).matched.method  # GET for a HEAD request
    async with services.backends.forward(model, method, scope["path"], headers, body) as response:
        if response.status >= 500 or 300 <= response.status < 400:
            status = response.status if response.status in {503, 504} else 502
            raise Problem(status, f"{model} failed with status {response.status}; try again", kind="model-unavailable")
        await send({"type": "http.response.start", "status": response.status, "headers": response.headers})
        async for chunk in response.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def _model_of(path: str) -> str:
    """Return the model of a path that matched a route: `/v2/models/<model>/…` or `/v1/models/<model>[:<verb>]`."""
    return path.split("/")[3].split(":", maxsplit=1)[0]
