"""P13: offline replay of unseen products in batches, against single requests to the stock wiring."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import materials, payloads
from benchmarks.compare import alternate, median_and_range, median_of
from benchmarks.load import send_each
from benchmarks.machine import ALL, pinned
from benchmarks.outcome import Check, Outcome
from benchmarks.rows.p04_predict import stock
from inference.simulation.offline import OfflineModels
from inference.simulation.unseen import UnseenProduct

MIN_RATIO = 4.0
PRODUCTS = 256
BY_ONE = 128
ROUNDS = 2


def measure(folder: Path) -> Outcome:
    """Time the offline replay of the simulation and sequential requests to the peer."""
    photos = materials.photos(PRODUCTS)
    made = materials.products(PRODUCTS)
    unseen = [
        UnseenProduct(number, one.title, one.description, str(number), one.label, image_sha256="", half="a")
        for number, one in enumerate(made)
    ]
    photo_by_id = {str(number): photo for number, photo in enumerate(photos)}
    models = OfflineModels(materials.release())
    with stock(folder) as peer, pinned(ALL):
        requests = [payloads.v1_product("fusion", one, photo) for one, photo in zip(made, photos, strict=True)][:BY_ONE]
        found = alternate(
            {
                "ours": lambda: _replayed(models, unseen, photo_by_id),
                "stock": lambda: _one_by_one(peer["fusion"].port, requests),
            },
            ROUNDS,
        )
    rate = {name: median_of(rounds) for name, rounds in found.items()}
    return Outcome(
        ours=f"{rate['ours']:.0f} products/s",
        peer=f"stock KServe wiring, one by one: {rate['stock']:.0f} products/s",
        ratio=rate["ours"] / rate["stock"],
        checks=[Check("times faster", rate["ours"] / rate["stock"], "×", "≥", MIN_RATIO)],
        details=[{"what": name, "products per second": median_and_range(rounds)} for name, rounds in found.items()],
        note="Text and photo of 500 by 500 pixels each.",
    )


def _replayed(models: OfflineModels, products: Sequence[UnseenProduct], photos: Mapping[str, bytes]) -> float:
    start = time.perf_counter()
    responses = models.predict(products, dict(photos))
    return sum(answer is not None for answer in responses) / (time.perf_counter() - start)


def _one_by_one(port: int, requests: Sequence[bytes]) -> float:
    start = time.perf_counter()
    responses = send_each(port, requests)
    return sum(answer.status == 200 for answer in responses) / (time.perf_counter() - start)
