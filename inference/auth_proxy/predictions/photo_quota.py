"""Megapixels of the photos in requests that the gateway forwards without reading them otherwise."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace

import orjson
from starlette.types import Scope

from inference.auth_proxy.collaborators import GatewayDependencies
from inference.auth_proxy.context import context_of
from inference.auth_proxy.predictions.product_reader import OFF_LOOP_BYTES
from inference.http.base64_text import decode_base64
from inference.http.json_structure import structure_error
from inference.oip.rest_codec import decode_columns, decode_v1
from inference.oip.tensors import HEADER_LENGTH
from inference.oip.types import InputTensor, Signature
from product_classifier.errors import InvalidImage, InvalidInput
from product_classifier.images.headers import read_header
from product_classifier.limits import JSON_VALUES
from product_classifier.model_names import FUSION, IMAGE

PHOTO = InputTensor("image", photo=True)
MAX_ROWS = JSON_VALUES
"""More than any model accepts in one request."""
SIGNATURES = {
    IMAGE: Signature((replace(PHOTO, required=True),), (), MAX_ROWS),
    FUSION: Signature((InputTensor("designation"), InputTensor("description"), PHOTO), (), MAX_ROWS),
}
"""Inputs of the models that read photos."""
HEADER_LENGTH_KEY = HEADER_LENGTH.lower().encode()


async def spend_for_inference(services: GatewayDependencies, scope: Scope, body: bytes, model: str) -> None:
    """Count the photos of a V1 or V2 request for its user; raise a 429 problem if they exceed the limit."""
    signature = SIGNATURES.get(model)
    if signature is None or not body:
        return
    if scope["path"].startswith("/v1/"):
        await _spend(services, scope, body, lambda: _v1_photos(body, signature))
    else:
        size = dict(scope["headers"]).get(HEADER_LENGTH_KEY)
        length = None if size is None else size.decode("latin-1")
        await _spend(services, scope, body, lambda: _v2_photos(body, length, signature))


async def spend_for_feedback(services: GatewayDependencies, scope: Scope, body: bytes) -> None:
    """Count the photo of a correction for its user; raise a 429 problem if it exceeds the limit."""
    await _spend(services, scope, body, lambda: _feedback_photos(body))


async def _spend(
    services: GatewayDependencies, scope: Scope, body: bytes, photos: Callable[[], Iterable[bytes]]
) -> None:
    def measure() -> int:
        return sum(map(_megapixels, photos()))

    megapixels = measure() if len(body) < OFF_LOOP_BYTES else await asyncio.to_thread(measure)
    if megapixels:
        services.limits.spend_megapixels(context_of(scope).user.name, megapixels)


def _megapixels(photo: bytes) -> int:
    try:
        return read_header(photo).megapixels
    except InvalidImage:  # the service refuses it without decoding it
        return 0


def _v2_photos(body: bytes, length: str | None, signature: Signature) -> list[bytes]:
    try:
        _, columns = decode_columns(body, length, signature)
    except InvalidInput:  # the model responds with the error
        return []
    return [photo for value in columns.get(PHOTO.name, ()) if (photo := _decoded(value))]


def _v1_photos(body: bytes, signature: Signature) -> list[bytes]:
    try:
        return [photo for photo in decode_v1(body, signature).photos(PHOTO.name) if photo]
    except InvalidInput:
        return []


def _feedback_photos(body: bytes) -> list[bytes]:
    if structure_error(body) is not None:  # the feedback service responds with the error
        return []
    try:
        product = orjson.loads(body)["product"]
        return [_decoded(product["image"])] if product["image"] else []
    except (orjson.JSONDecodeError, TypeError, KeyError, IndexError):
        return []


def _decoded(value: str | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return decode_base64(value)
    except ValueError:
        return b""
