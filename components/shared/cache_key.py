"""What the results of a training depend on besides its data and numbers, as one word.

Kubeflow Pipelines answers a step from its cache when image, code of the face and inputs are the same. The first step
gives this word to the next one, and all others follow from that: with another word nothing is remembered.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import components
import product_classifier
from product_classifier.errors import ProductClassifierError
from product_classifier.retraining import RunStore
from product_classifier.store import open_store


def recipe(store: str, fresh: str = "") -> str:
    """Return the word: of the code, of the newest run that nobody can explain, and of whatever a person gave.

    A run that failed without a step saying why may have been given results that are no longer there. So what was
    remembered up to then is not used any more, in its successors either.
    """
    parts = [*_sources(), _unexplained(store), fresh]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _sources() -> Iterator[str]:
    """Yield a hash of each file of the code: the same name of an image may stand for other code."""
    for package in (components, product_classifier):
        folder = Path(package.__path__[0])
        for path in sorted(folder.rglob("*")):
            if path.suffix in {".py", ".html"}:
                yield f"{path.relative_to(folder.parent)} {hashlib.sha256(path.read_bytes()).hexdigest()}"


def _unexplained(store: str) -> str:
    try:
        run_store = RunStore(open_store(store))
        failed = (one.run_id for one in run_store.results() if one.outcome == "failed")
        return next((run_id for run_id in failed if run_store.failure(run_id) is None), "")
    except ProductClassifierError:
        return ""  # where nothing was ever stored no run has failed
