"""The corrections a training learns, kept in the store under the hash of their content.

Steps hand over that hash, not a file: Kubeflow Pipelines knows a file by the run that made it, and would do again in
every run what follows from the same corrections.
"""

import hashlib
from pathlib import Path

from product_classifier.errors import InvalidInput, ObjectExists
from product_classifier.store import ObjectStore, open_store


def keep(store: ObjectStore, table: Path) -> str:
    """Put a table of corrections into the store; return its hash."""
    content = table.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        store.put(_key(sha256), content, only_if_absent=True)
    except ObjectExists:
        if store.get(_key(sha256)) != content:  # damaged in place: its name says what it must be
            store.put(_key(sha256), content)
    return sha256


def bring(store: str, sha256: str, table: Path) -> Path | None:
    """Write the corrections of this hash to `table`; None where there are none."""
    if not sha256:
        return None
    content = open_store(store).get(_key(sha256))
    if hashlib.sha256(content).hexdigest() != sha256:
        raise InvalidInput(f"object {_key(sha256)!r} was changed: its content has another hash")
    table.write_bytes(content)
    return table


def _key(sha256: str) -> str:
    return f"datasets/{sha256}/corrections.parquet"
