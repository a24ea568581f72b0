"""Identity of the frozen hold-out: scores are comparable only on the same products."""

import hashlib
from pathlib import Path

from product_classifier.taxonomy.stored_codes import to_stored

_COLUMNS = ["product_id", "designation", "description", "image_sha256", "code"]


def hold_out_digest(test: Path) -> str:
    """Return a digest of the products of the hold-out, independent of their order and of where photos lie."""
    # pandas takes a second to import, and registering a release again needs none of it
    from product_classifier.catalogue.product_table import read_products  # noqa: PLC0415

    products = read_products(test, _COLUMNS).sort_values("product_id")
    products["code"] = products["code"].map(to_stored).astype(object)  # as the digests of earlier versions
    return hashlib.sha256(products.to_json(orient="values").encode()).hexdigest()[:16]
