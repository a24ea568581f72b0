"""Send predictions continuously and compare each response with the models of its release."""

import base64
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from components.shared.serving_check import KnownProduct
from product_classifier.catalogue.challenge import CHALLENGE
from tests.e2e.cluster import Product

TOLERANCE = 0.02
"""Largest difference of a probability from the one computed here, on another processor."""


@dataclass
class RequestLog:
    """Responses and failures of a request loop."""

    responses: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """Number of the known product, and the response."""
    failures: list[str] = field(default_factory=list)

    @property
    def releases(self) -> Counter[str]:
        return Counter(response["release"] for _, response in self.responses)

    @property
    def degraded(self) -> int:
        return sum(response["degraded"] for _, response in self.responses)


def body(known: KnownProduct) -> dict[str, str]:
    photo = {"image": base64.b64encode(known.photo).decode()} if known.photo else {}
    return {"designation": known.designation, "description": known.description} | photo


@contextmanager
def request_loop(product: Product, *, pause_s: float = 0.05) -> Iterator[RequestLog]:
    """Send the known products, one after the other, until the end of the block."""
    known = product.model(product.current).known_products
    log, done = RequestLog(), threading.Event()

    def send() -> None:
        with product.client("user") as client:
            number = 0
            while not done.wait(pause_s):
                number = (number + 1) % len(known)
                try:
                    response = client.post("/predict", json=body(known[number]))
                except httpx.HTTPError as error:
                    log.failures.append(f"{type(error).__name__}: {error}")
                    continue
                if response.status_code == 200:
                    log.responses.append((number, response.json()))
                else:
                    log.failures.append(f"{response.status_code}: {response.text[:200]}")

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield log
    finally:
        done.set()
        thread.join()


def inconsistent(product: Product, log: RequestLog) -> list[str]:
    """Return the responses that differ from the probabilities of the release they name."""
    known = product.model(product.current).known_products
    codes = [CHALLENGE.to_json_code(code) for code in CHALLENGE.codes]
    expected = {
        release: [dict(zip(codes, one, strict=True)) for one in product.model(release).predict_each(known)]
        for release in log.releases
    }
    wrong = []
    for number, response in log.responses:
        right = expected[response["release"]][number]
        distance = max(abs(one["probability"] - float(right[one["code"]])) for one in response["top"])
        if not response["degraded"] and not np.less_equal(distance, TOLERANCE):
            wrong.append(f"product {number} by {response['release']} is off by {distance:.3f}")
    return wrong
