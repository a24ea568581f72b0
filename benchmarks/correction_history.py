"""A history of corrections, and the CPU that building their index takes.

python -m benchmarks.correction_history STORE_URL FOLDER    build the index of a store and print the CPU seconds
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from urllib.parse import unquote, urlsplit

from benchmarks import materials
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.records import Correction, ProductContent, new_id
from product_classifier.store import open_store

DAYS = 365
USERS = 499
TEXTS = 2000
"""Different texts; a number makes those of each product unique."""
BLOCK = 6
"""Of this many corrections, the last one repeats a product of the block before: 20 % of the products have two."""
LONG_EVERY = 20
"""One product in this many has a long description."""
LONG_CHARACTERS = 5000
ROUNDS = 5
"""Times that a small history is indexed, so that what a process does once is not counted."""
SMALL = 1000


def write_history(store_url: str, count: int) -> int:
    """Write corrections of the past year into the folder of a store; return how many products are labeled.

    Writes the files directly, because two syncs per object would take most of the time. Memory does not grow with
    the number of corrections.
    """
    root, folder, repeated = Path(unquote(urlsplit(store_url).path)), "", 0
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    open_store(store_url, create=True)
    for number, correction in enumerate(corrections(count)):
        path = root / correction.key
        if path.parent.name != folder:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder = path.parent.name
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(descriptor, correction.to_json())
        os.close(descriptor)
        repeated += _is_repetition(number)
    return repeated


def corrections(count: int) -> Iterator[Correction]:
    """Yield corrections, the oldest first, spread evenly over `DAYS` days until now."""
    texts = materials.products(TEXTS)
    now = datetime.now(UTC)
    for number in range(count):
        created = now - timedelta(days=DAYS) * (1 - number / count)
        product = _product_number(number)
        text = texts[product % TEXTS]
        description = text.description
        if product % LONG_EVERY == 0:
            description = f"{description or text.title} " * (LONG_CHARACTERS // 2)
        yield Correction(
            feedback_id=new_id(created),
            created=created,
            user=f"user-{number % USERS}",
            role="user",
            product=ProductContent(
                designation=f"{text.title} réf. {product}", description=description[:LONG_CHARACTERS]
            ),
            code=text.label,
        )


def _product_number(number: int) -> int:
    block, position = divmod(number, BLOCK)
    if _is_repetition(number):
        return max(block - 1, 0) * (BLOCK - 1) + block % (BLOCK - 1)
    return block * (BLOCK - 1) + position


def _is_repetition(number: int) -> bool:
    return number % BLOCK == BLOCK - 1


def build_index(store_url: str, folder: Path) -> float:
    """Build the index in new files; return CPU seconds, the median of `ROUNDS` for a small history."""
    store, took, count = open_store(store_url), list[float](), 0
    while not took or (len(took) < ROUNDS and count <= SMALL):
        with tempfile.TemporaryDirectory(dir=folder) as files:
            index = FeedbackIndex(store, Path(files) / "index.sqlite", store_name=store_url)
            began = time.process_time()
            while not index.refresh():
                pass
            took.append(time.process_time() - began)
            count = index.page(limit=1).total or 0
            index.close()
    return median(took)


if __name__ == "__main__":
    sys.stdout.write(f"{build_index(sys.argv[1], Path(sys.argv[2]))}\n")
