"""A client that asks all the time, and knows what each release has to answer."""

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
from product_classifier.taxonomy import CODES
from tests.e2e.cluster import Product

TOLERANCE = 0.02
"""How far a probability may be from the one computed here, on another processor."""


@dataclass
class Asked:
    """What came back."""

    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    """Which of the known products, and the answer to it."""
    failures: list[str] = field(default_factory=list)

    @property
    def releases(self) -> Counter[str]:
        return Counter(answer["release"] for _, answer in self.answers)

    @property
    def degraded(self) -> int:
        return sum(answer["degraded"] for _, answer in self.answers)


def body(known: KnownProduct) -> dict[str, str]:
    photo = {"image": base64.b64encode(known.photo).decode()} if known.photo else {}
    return {"designation": known.designation, "description": known.description} | photo


@contextmanager
def asking(product: Product, *, pause_s: float = 0.05) -> Iterator[Asked]:
    """Ask about known products, one after the other, until the block ends."""
    known = product.model(product.current).known_products
    asked, done = Asked(), threading.Event()

    def ask() -> None:
        with product.client("user") as client:
            number = 0
            while not done.wait(pause_s):
                number = (number + 1) % len(known)
                try:
                    reply = client.post("/predict", json=body(known[number]))
                except httpx.HTTPError as error:
                    asked.failures.append(f"{type(error).__name__}: {error}")
                    continue
                if reply.status_code == 200:
                    asked.answers.append((number, reply.json()))
                else:
                    asked.failures.append(f"{reply.status_code}: {reply.text[:200]}")

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield asked
    finally:
        done.set()
        thread.join()


def mixed(product: Product, asked: Asked) -> list[str]:
    """Return the answers that are not what the models of the release they name say together."""
    known = product.model(product.current).known_products
    expected = {
        release: [dict(zip(CODES, one, strict=True)) for one in product.model(release).predict_each(known)]
        for release in asked.releases
    }
    wrong = []
    for number, answer in asked.answers:
        right = expected[answer["release"]][number]
        distance = max(abs(one["probability"] - float(right[one["code"]])) for one in answer["top"])
        if not answer["degraded"] and not np.less_equal(distance, TOLERANCE):
            wrong.append(f"product {number} by {answer['release']} is off by {distance:.3f}")
    return wrong
