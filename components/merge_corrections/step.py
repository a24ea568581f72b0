"""Be the run, and turn its frozen snapshot of corrections into products to learn from."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from product_classifier.catalogue.merging import COLUMNS
from product_classifier.catalogue.splits import content_keys
from product_classifier.errors import InvalidImage, ObjectNotFound, RunSuperseded
from product_classifier.feedback.records import image_key
from product_classifier.images import decoding
from product_classifier.retraining import RunStore, SnapshotItem, acquire_run, read_snapshot
from product_classifier.store import ObjectStore, open_store

TRANSFERS = 16


def run(
    corrections: Path, report: Path, store: str = "", run_id: str = "", snapshot: str = "", execution: str = ""
) -> int:
    """Write `corrections` (parquet) and `report` (JSON); return how many corrections can be used.

    A correction that is damaged is reported and skipped. Without a snapshot there are none, as in a first training.

    Args:
        corrections: Products with the category that is believed of them, photos included.
        report: What was skipped, and why.
        store: Where snapshot and photos are: file:///folder or s3://bucket.
        run_id: The run this execution wants to be; `RunSuperseded` when another one is, or it is over.
        snapshot: Hash of the frozen snapshot.
        execution: Name of this execution.
    """
    objects = open_store(store) if run_id or snapshot else None
    if objects and run_id and not acquire_run(RunStore(objects), run_id, execution, datetime.now(UTC)):
        raise RunSuperseded(f"run {run_id!r} is over, or another execution than {execution!r}")
    items = read_snapshot(objects, snapshot).corrections if objects and snapshot else ()
    rows, skipped = [], []
    with ThreadPoolExecutor(TRANSFERS) as pool:
        ordered = sorted(items, key=lambda item: (item.since, item.feedback_id))
        for item, (photo, trouble) in zip(
            ordered, pool.map(lambda item: _photo_of(objects, item), ordered), strict=True
        ):
            if trouble:
                skipped.append({"feedback_id": item.feedback_id, "reason": trouble})
            else:
                rows.append(_row(item, photo))
    for path in (corrections, report):
        path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=list(COLUMNS)).to_parquet(corrections, index=False)
    summary = {"run_id": run_id, "snapshot": snapshot, "usable": len(rows), "skipped": skipped}
    report.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return len(rows)


def _photo_of(store: ObjectStore | None, item: SnapshotItem) -> tuple[bytes | None, str]:
    """Return the photo, None where there is none, and why the correction cannot be used."""
    product, digest = item.product, item.product.image_sha256
    if not content_keys(product.designation, product.description, digest or ""):
        return None, "there is no word in its text, and no photo"
    if store is None or digest is None:
        return None, ""
    key = image_key(digest)
    try:
        photo = store.get(key)
    except ObjectNotFound:
        return None, f"its photo {key!r} is lost"
    if hashlib.sha256(photo).hexdigest() != digest:
        return None, f"its photo {key!r} was changed"
    try:
        decoding.decode(photo)
    except InvalidImage as error:
        return None, f"its photo {key!r} cannot be used: {error}"
    return photo, ""


def _row(item: SnapshotItem, photo: bytes | None) -> tuple[object, ...]:
    digest = item.product.image_sha256
    return (
        -1 - int(item.product_key[:15], 16),  # products of a catalogue are not negative
        item.product.designation,
        item.product.description,
        image_key(digest) if digest else "",
        item.code,
        0,
        digest or "",
        photo,
    )
