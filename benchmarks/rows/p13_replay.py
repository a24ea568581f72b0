"""P13: unseen products through the models of a release in batches, beside asking the stock wiring about each."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import materials, payloads
from benchmarks.compare import in_turns, middle, spread
from benchmarks.load import answers
from benchmarks.machine import ALL, pinned
from benchmarks.outcome import Check, Outcome
from benchmarks.rows.p04_predict import stock
from inference.simulation.offline import Models
from inference.simulation.unseen import Product

TIMES = 4.0
PRODUCTS = 256
BY_ONE = 128
ROUNDS = 2


def measure(folder: Path) -> Outcome:
    """Time the simulation's offline replay and one request after the other."""
    photos = materials.photos(PRODUCTS)
    made = materials.products(PRODUCTS)
    unseen = [
        Product(number, one.title, one.description, str(number), one.label, image_sha256="", half="a")
        for number, one in enumerate(made)
    ]
    shown = {str(number): photo for number, photo in enumerate(photos)}
    models = Models(materials.release())
    with stock(folder) as peer, pinned(ALL):
        requests = [payloads.v1_product("fusion", one, photo) for one, photo in zip(made, photos, strict=True)][:BY_ONE]
        found = in_turns(
            {
                "ours": lambda: _replayed(models, unseen, shown),
                "stock": lambda: _one_by_one(peer["fusion"].port, requests),
            },
            ROUNDS,
        )
    rate = {name: middle(rounds) for name, rounds in found.items()}
    return Outcome(
        ours=f"{rate['ours']:.0f} products/s",
        peer=f"stock KServe wiring, one by one: {rate['stock']:.0f} products/s",
        ratio=rate["ours"] / rate["stock"],
        checks=[Check("times faster", rate["ours"] / rate["stock"], "×", "≥", TIMES)],
        details=[{"what": name, "products per second": spread(rounds)} for name, rounds in found.items()],
        note="Text and photo of 500 by 500 pixels each.",
    )


def _replayed(models: Models, products: Sequence[Product], photos: Mapping[str, bytes]) -> float:
    start = time.perf_counter()
    given = models.answer(products, dict(photos))
    return sum(answer is not None for answer in given) / (time.perf_counter() - start)


def _one_by_one(port: int, requests: Sequence[bytes]) -> float:
    start = time.perf_counter()
    given = answers(port, requests)
    return sum(answer.status == 200 for answer in given) / (time.perf_counter() - start)
