"""HTTP requests as bytes."""

import base64
from collections.abc import Mapping

import orjson

from benchmarks.materials import LabeledProduct

JSON = {"Content-Type": "application/json"}


def post(path: str, body: bytes, headers: Mapping[str, str] = JSON) -> bytes:
    """Return an HTTP/1.1 request."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def predict(product: LabeledProduct, photo: bytes | None, token: str) -> bytes:
    """Return a `/predict` request of the public API."""
    body = {"designation": product.title}
    if photo is not None:
        body["image"] = base64.b64encode(photo).decode()
    return post("/predict", orjson.dumps(body), JSON | {"Authorization": f"Bearer {token}"})


def v1(model: str, *instances: object) -> bytes:
    """Return a KServe V1 request."""
    return post(f"/v1/models/{model}:predict", orjson.dumps({"instances": instances}))


def v1_product(model: str, product: LabeledProduct, photo: bytes | None) -> bytes:
    """Return a KServe V1 request about a product, its photo as base64."""
    instance = {"designation": product.title}
    if photo is not None:
        instance["image"] = base64.b64encode(photo).decode()
    return v1(model, instance)


def v2_texts(model: str, texts: list[str], name: str = "designation") -> bytes:
    """Return a KServe V2 request in JSON."""
    tensor = {"name": name, "shape": [len(texts)], "datatype": "BYTES", "data": texts}
    return post(f"/v2/models/{model}/infer", orjson.dumps({"inputs": [tensor]}))
