"""What explanations count against the rate, in products: as many as they cost predictions."""

import asyncio
from collections.abc import Sequence

import orjson

from inference.auth_proxy.predictions.product_reader import OFF_LOOP_BYTES, RequestProduct
from inference.http.json_structure import structure_error
from product_classifier.limits import EXPLANATION_PREDICTIONS, EXPLANATION_PRODUCTS
from product_classifier.model_names import FUSION, IMAGE, TEXT

TEXT_COST = 3
PHOTO_COST = EXPLANATION_PREDICTIONS


def explanation_cost(products: Sequence[RequestProduct]) -> int:
    """Return what the requested explanations of products cost."""
    return sum(
        TEXT_COST * product.has_text + PHOTO_COST * bool(product.image) for product in products if product.explain
    )


def model_cost(model: str) -> int:
    """Return what one explanation by a model costs."""
    return {TEXT: TEXT_COST, IMAGE: PHOTO_COST, FUSION: TEXT_COST + PHOTO_COST}[model]


async def count_instances(body: bytes) -> int:
    """Return how many products a `:explain` request has; 1 for an invalid one, which the model refuses."""
    return await asyncio.to_thread(_count, body) if len(body) > OFF_LOOP_BYTES else _count(body)


def _count(body: bytes) -> int:
    if structure_error(body) is not None:  # checked before it is parsed, which takes memory for each value
        return 1
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return 1
    instances = document.get("instances") if isinstance(document, dict) else None
    return min(max(1, len(instances)), EXPLANATION_PRODUCTS) if isinstance(instances, list) else 1
