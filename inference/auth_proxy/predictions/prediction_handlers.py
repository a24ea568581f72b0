"""Handlers of `/predict` and `/predict/batch`."""

import time

from pydantic_core import to_json
from starlette.types import Receive, Scope, Send

from inference.auth_proxy.collaborators import GatewayDependencies
from inference.auth_proxy.context import context_of
from inference.auth_proxy.json_handlers import send_json
from inference.auth_proxy.media_types import content_type
from inference.auth_proxy.predictions.explanation_cost import explanation_cost
from inference.auth_proxy.predictions.product_reader import RequestProduct, read_batch, read_product
from inference.auth_proxy.request_body import read_request_body
from inference.http.disconnects import cancel_on_disconnect

RECORD_HEADER = b"prediction-record"


async def predict(services: GatewayDependencies, scope: Scope, receive: Receive, send: Send) -> None:
    """Classify one product."""
    context = context_of(scope)
    services.predictor.refuse_when_full()  # before the body is read; the slot is taken after it
    body = await read_request_body(services, scope, receive)
    product = await read_product(body, content_type(scope))
    services.metrics.observe_stage("read", time.perf_counter() - context.started)
    services.limits.spend_explanations(context.user.name, explanation_cost([product]))
    if product.photo is not None:
        services.limits.spend_megapixels(context.user.name, product.photo.megapixels)
    with cancel_on_disconnect(scope):
        prediction, status = await services.predictor.predict(product, context.user.name, context.request_id)
    await send_json(send, to_json(prediction), (RECORD_HEADER, status.encode()))


async def predict_batch(services: GatewayDependencies, scope: Scope, receive: Receive, send: Send) -> None:
    """Classify a batch of products; an invalid one does not fail the others."""
    context = context_of(scope)
    services.predictor.refuse_when_full()
    body = await read_request_body(services, scope, receive)
    rows = await read_batch(body, content_type(scope))
    services.metrics.observe_stage("read", time.perf_counter() - context.started)
    if len(rows) > 1:
        services.limits.spend(context.user.name, len(rows) - 1)  # the middleware has counted one
    products = [row for row in rows if isinstance(row, RequestProduct)]
    services.limits.spend_explanations(context.user.name, explanation_cost(products), len(rows))
    photos = [product.photo for product in products if product.photo is not None]
    services.limits.spend_megapixels(context.user.name, sum(photo.megapixels for photo in photos))
    with cancel_on_disconnect(scope):
        results, status = await services.predictor.predict_batch(rows, context.user.name, context.request_id)
    await send_json(send, to_json(results), (RECORD_HEADER, status.encode()))
