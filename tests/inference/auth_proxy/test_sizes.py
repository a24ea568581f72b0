"""Sizes are the same at every route: the limit is accepted, one more is refused with the limit."""

import base64
import json
from collections.abc import Callable
from typing import Any

import grpc
import httpx
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from inference.oip.client import encode_request
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.limits import (
    BODY_BYTES,
    DESCRIPTION_CHARACTERS,
    DESIGNATION_CHARACTERS,
    GRPC_MESSAGE_BYTES,
    PHOTO_BODY_BYTES,
    PHOTO_BYTES,
)
from tests.inference.auth_proxy.conftest import Gateway
from tests.support.model_servers import RunningServer
from tests.support.photo_structures import encode, segment

pytestmark = pytest.mark.slow

FUSION = "/v2/models/fusion-transformer/infer"
Product = dict[str, Any]
Send = Callable[[Product], tuple[bool, str]]
"""Sends a product by one route; returns whether it is accepted, and the error."""


def photo_of(size: int) -> bytes:
    """Return a JPEG of this size, filled with comments, the rest behind the picture."""
    jpeg, comment = encode("JPEG"), segment(0xFE, b"c" * 65_000)
    count = (size - len(jpeg)) // len(comment)
    filled = jpeg[:2] + comment * count + jpeg[2:]
    return filled + b"\0" * (size - len(filled))


def columns_of(product: Product) -> dict[str, list[bytes]]:
    texts = {name: [str(product.get(name, "")).encode()] for name in ("designation", "description")}
    return texts | {"image": [product.get("image", b"")]}


def as_json(product: Product) -> Product:
    image = product.get("image")
    return product | ({"image": base64.b64encode(image).decode()} if image else {})


def outcome(reply: httpx.Response) -> tuple[bool, str]:
    if reply.text.startswith("["):
        return "status" not in reply.json()[0], reply.text
    return reply.status_code in {200, 201}, reply.text


def routes(gateway: Gateway, servers: dict[str, RunningServer]) -> dict[str, Send]:
    """Return every route that takes a product."""

    def post(path: str, **options: Any) -> tuple[bool, str]:
        with gateway.client() as client:
            return outcome(client.post(path, **options))

    def by_form(product: Product) -> tuple[bool, str]:
        texts = {name: value for name, value in product.items() if name != "image"}
        return post("/predict", data=texts, files={"image": ("photo.jpg", product.get("image", encode("JPEG")))})

    def by_v2(product: Product, *, binary: bool) -> tuple[bool, str]:
        body, headers = encode_request(columns_of(product), binary=binary)
        return post(FUSION, content=body, headers=headers)

    def by_v2_text(product: Product) -> tuple[bool, str]:
        tensors = [
            {"name": name, "shape": [1, 1], "datatype": "BYTES", "data": [value]}
            for name, value in as_json(product).items()
        ]
        return post(FUSION, json={"inputs": tensors})

    def by_grpc(product: Product) -> tuple[bool, str]:
        message = pb.ModelInferRequest(model_name="fusion-transformer")
        for name, values in columns_of(product).items():
            message.inputs.add(name=name, datatype="BYTES", shape=[1]).contents.bytes_contents.extend(values)
        return call(servers["fusion-transformer"], message)

    return {
        "form": by_form,
        "JSON": lambda product: post("/predict", json=as_json(product)),
        "batch": lambda product: post("/predict/batch", json=[as_json(product)]),
        "V1": lambda product: post("/v1/models/fusion-transformer:predict", json={"instances": [as_json(product)]}),
        "V2 JSON": by_v2_text,
        "V2 base64": lambda product: by_v2(product, binary=False),
        "V2 binary": lambda product: by_v2(product, binary=True),
        "gRPC": by_grpc,
        "feedback": lambda product: post("/feedback", json={"product": as_json(product), "code": CHALLENGE.codes[0]}),
    }


def call(server: RunningServer, message: pb.ModelInferRequest) -> tuple[bool, str]:
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}", options=options) as channel:
        try:
            GRPCInferenceServiceStub(channel).ModelInfer(message, timeout=60)
        except grpc.RpcError as error:
            return False, f"{error.code().name} {error.details()}"
    return True, ""


@pytest.fixture
def send(request: pytest.FixtureRequest, whole_gateway: Gateway, servers: dict[str, RunningServer]) -> Send:
    return routes(whole_gateway, servers)[request.param]


every_route = pytest.mark.parametrize(
    "send", ["form", "JSON", "batch", "V1", "V2 JSON", "V2 base64", "V2 binary", "gRPC", "feedback"], indirect=True
)


@every_route
def test_photos(send: Send) -> None:
    for size in (5_000_000, PHOTO_BYTES):
        accepted, error = send({"image": photo_of(size)})
        assert accepted, error[:300]
    accepted, error = send({"image": photo_of(PHOTO_BYTES + 1)})

    assert not accepted
    assert f"more than {PHOTO_BYTES}" in error


@every_route
@pytest.mark.parametrize(
    ("name", "limit"), [("designation", DESIGNATION_CHARACTERS), ("description", DESCRIPTION_CHARACTERS)]
)
@pytest.mark.parametrize("character", ["a", "é", "😀"])
def test_texts(send: Send, name: str, limit: int, character: str) -> None:
    title = {"designation": "Livre"} if name == "description" else {}
    accepted, error = send(title | {name: "Livre " + character * (limit - 6)})
    assert accepted, error[:300]
    accepted, error = send(title | {name: "Livre " + character * (limit - 5)})

    assert not accepted
    assert str(limit) in error
    assert name in error


PADDED: dict[str, tuple[str, dict[str, Any], int]] = {
    "predict": ("/predict", {"designation": "Livre"}, PHOTO_BODY_BYTES),
    "batch": ("/predict/batch", [{"designation": "Livre"}], PHOTO_BODY_BYTES),  # type: ignore[dict-item]
    "V1": ("/v1/models/text-predictor:predict", {"instances": ["Livre"]}, PHOTO_BODY_BYTES),
    "V2": (
        "/v2/models/text-predictor/infer",
        {"inputs": [{"name": "designation", "shape": [1], "datatype": "BYTES", "data": ["Livre"]}]},
        PHOTO_BODY_BYTES,
    ),
    "feedback": ("/feedback", {"product": {"designation": "Livre"}, "code": CHALLENGE.codes[0]}, PHOTO_BODY_BYTES),
    "users": ("/users", {"username": "berta", "password": "correct horse", "role": "user"}, BODY_BYTES),
    "review": ("/feedback/019ab0f2-7d1e-7c3a-9d55-0c8f6a4be111/approve", {"comment": "yes"}, BODY_BYTES),
}


@pytest.mark.parametrize("case", PADDED)
def test_bodies(whole_gateway: Gateway, case: str) -> None:
    path, document, limit = PADDED[case]
    body = json.dumps(document).encode()
    headers = {"Content-Type": "application/json"}
    with whole_gateway.client("ada") as client:
        largest = client.post(path, content=body.ljust(limit), headers=headers)
        larger = client.post(path, content=body.ljust(limit + 1), headers=headers)

    assert largest.status_code != 413
    assert largest.status_code < 500
    assert 413 == larger.status_code
    assert str(limit) in larger.json()["detail"]


def test_bodies_of_a_model_server(servers: dict[str, RunningServer]) -> None:
    server, body = servers["text-predictor"], json.dumps(PADDED["V2"][1]).encode()

    assert 200 == httpx.post(server.infer, content=body.ljust(PHOTO_BODY_BYTES), timeout=30).status_code
    refused = httpx.post(server.infer, content=body.ljust(PHOTO_BODY_BYTES + 1), timeout=30)

    assert (413, True) == (refused.status_code, str(PHOTO_BODY_BYTES) in refused.json()["error"])


def test_messages(servers: dict[str, RunningServer]) -> None:
    def message(size: int) -> pb.ModelInferRequest:
        made = pb.ModelInferRequest(model_name="text-predictor")
        made.inputs.add(name="designation", datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"Livre")
        made.parameters["note"].string_param = "x" * 10_000_000
        made.parameters["note"].string_param += "x" * (size - made.ByteSize())
        assert size == made.ByteSize()
        return made

    server = servers["text-predictor"]
    assert (True, "") == call(server, message(GRPC_MESSAGE_BYTES))
    accepted, error = call(server, message(GRPC_MESSAGE_BYTES + 1))

    assert not accepted
    assert error.startswith("RESOURCE_EXHAUSTED")
    assert str(GRPC_MESSAGE_BYTES) in error
