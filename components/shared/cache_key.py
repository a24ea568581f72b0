"""The key of cached results: everything the results of a training depend on besides data and numbers.

Kubeflow Pipelines reuses the result of a step when its image, component code and inputs are equal. `start_run` passes
this key to `prepare_catalogue`, whose outputs all other cached steps depend on, so a new key invalidates every result.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import components
import product_classifier
from product_classifier.errors import ProductClassifierError
from product_classifier.retraining import RunStore
from product_classifier.store import open_store
from product_classifier.stored_taxonomy.change_store import CHANGES_PREFIX


def cache_key(store: str, cache_buster: str = "") -> str:
    """Return a digest of the code, the newest unexplained failed run and change, and `cache_buster`.

    A run that failed without a recorded reason may have used cached artifacts that no longer exist, so results cached
    until then are not used again.
    """
    parts = [*_sources(), _unexplained_run(store), _newest_change(store), cache_buster]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _sources() -> Iterator[str]:
    """Yield a digest of each source file; the same image tag may hold different code."""
    for package in (components, product_classifier):
        folder = Path(package.__path__[0])
        for path in sorted(folder.rglob("*")):
            if path.suffix in {".py", ".html"}:
                yield f"{path.relative_to(folder.parent)} {hashlib.sha256(path.read_bytes()).hexdigest()}"


def _unexplained_run(store: str) -> str:
    try:
        run_store = RunStore(open_store(store))
        failed = (one.run_id for one in run_store.results() if one.outcome == "failed")
        return next((run_id for run_id in failed if run_store.failure(run_id) is None), "")
    except ProductClassifierError:
        return ""  # a store that does not exist yet has no failed run


def _newest_change(store: str) -> str:
    try:
        return max(open_store(store).list(CHANGES_PREFIX), default="")
    except ProductClassifierError:
        return ""  # a store that does not exist yet has no change
