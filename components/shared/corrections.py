"""The corrections a training learns, kept in the store under the hash of their content.

Steps hand over that hash, not a file: Kubeflow Pipelines knows a file by the run that made it, and would do again in
every run what follows from the same corrections.
"""

from pathlib import Path

from product_classifier.store import ObjectStore, content_addressed, open_store


def keep(store: ObjectStore, table: Path) -> str:
    """Put a table of corrections into the store; return its hash."""
    return content_addressed.write(store, _key, table.read_bytes())


def bring(store: str, sha256: str, table: Path) -> Path | None:
    """Write the corrections of this hash to `table`; None where there are none."""
    if not sha256:
        return None
    table.write_bytes(content_addressed.read(open_store(store), _key(sha256), sha256))
    return table


def _key(sha256: str) -> str:
    return f"datasets/{sha256}/corrections.parquet"
