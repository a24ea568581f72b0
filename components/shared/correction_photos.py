"""The photos that the corrections of a snapshot name, as they are in the store now.

Kubeflow Pipelines reuses the result of `merge_corrections` for equal inputs, and a correction whose photo is missing is
skipped. `start_run` therefore passes a revision of the photos, which changes when one is restored or altered.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor

from product_classifier.errors import InvalidInput, ObjectNotFound
from product_classifier.feedback.records import image_key
from product_classifier.retraining import read_snapshot
from product_classifier.store import ObjectStore, open_store

TRANSFERS = 16


def photo_revision(store: str, snapshot: str) -> str:
    """Return a digest of keys, sizes and ETags of a snapshot's photos; "" without a snapshot.

    A snapshot that cannot be read has the revision "": `merge_corrections` reports it.

    Raises:
        StoreUnavailable: If the store cannot be reached.
    """
    if not snapshot:
        return ""
    objects = open_store(store)
    try:
        corrections = read_snapshot(objects, snapshot).corrections
    except (InvalidInput, ObjectNotFound):
        return ""
    keys = sorted({image_key(one.product.image_sha256) for one in corrections if one.product.image_sha256})
    with ThreadPoolExecutor(TRANSFERS) as pool:
        versions = list(pool.map(lambda key: _version(objects, key), keys))
    return hashlib.sha256("\n".join(versions).encode()).hexdigest()[:16]


def _version(store: ObjectStore, key: str) -> str:
    try:
        found = store.head(key)
    except ObjectNotFound:
        return f"{key} missing"
    return f"{key} {found.size} {found.etag}"
