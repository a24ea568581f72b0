"""Merge the trusted corrections of a frozen snapshot into the training split."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from product_classifier.catalogue.content_keys import content_keys
from product_classifier.catalogue.merging import COLUMNS, OUTCOMES, merge
from product_classifier.catalogue.product_table import read_products
from product_classifier.catalogue.splits import known_splits
from product_classifier.errors import InvalidImage, ObjectNotFound, StoreError
from product_classifier.feedback.records import image_key
from product_classifier.images import decoding
from product_classifier.images.headers import picture_bytes
from product_classifier.retraining import SnapshotItem, read_snapshot
from product_classifier.store import ObjectStore, open_store
from product_classifier.stored_taxonomy.change_store import TaxonomyState, read_state
from product_classifier.taxonomy import Taxonomy
from product_classifier.taxonomy.folder import write_taxonomy

TRANSFERS = 16


def run(
    train: Path,
    validation: Path,
    test: Path,
    unseen: Path,
    merged: Path,
    calibration: Path,
    answerable: Path,
    report: Path,
    taxonomy: Taxonomy,
    store: str = "",
    snapshot: str = "",
) -> int:
    """Write `merged`, `calibration` (parquet) and `report` (JSON); return the products in `merged`.

    Corrections change `train` only. A correction of a product in `validation` or `test` is not used, so the models are
    never trained on what evaluates them. A correction whose category is unknown, whose photo is missing, altered or
    undecodable, or that cannot be prepared for another reason is skipped and reported. Without a snapshot `merged` is
    a copy of `train`.

    A category with fewer than `minimum_products` products, in all splits and the corrections, is learned as the one
    above it: its products have that code in `merged` and `calibration`.

    Args:
        train: Products to train on (parquet).
        validation: Products to calibrate on (parquet).
        test: The frozen hold-out (parquet).
        unseen: Products of the simulation (parquet).
        merged: `train` with the corrections, and a column `photo` with the bytes of their photos.
        calibration: `validation` with the codes that are learned.
        answerable: Folder for the taxonomy whose answerable categories are those with enough products.
        report: Numbers by outcome, and the skipped corrections with their reasons.
        taxonomy: Categories of the products.
        store: URL of the object store with snapshot and photos: file:///folder or s3://bucket.
        snapshot: SHA-256 of the frozen snapshot; empty for a training without corrections.

    Raises:
        InvalidInput: If the snapshot is not what was frozen.
    """
    corrections = _read_corrections(open_store(store), snapshot, taxonomy) if snapshot else SnapshotRows((), (), ())
    splits = {"train": train, "validation": validation, "test": test, "unseen": unseen}
    for path in (merged, calibration, report):
        path.parent.mkdir(parents=True, exist_ok=True)
    counts: dict[str, int] = dict.fromkeys(OUTCOMES, 0)
    if corrections.rows:
        frames = {split: read_products(path) for split, path in splits.items()}
        rows = pd.DataFrame(list(corrections.rows), columns=list(COLUMNS))
        result = merge(frames["train"], rows, known_splits(frames))
        counts = {str(outcome): count for outcome, count in result.counts().items()}
        result.train.to_parquet(merged, index=False)
        rest = _without(frames["unseen"], rows)["code"]
    else:
        shutil.copyfile(train, merged)
        rest = _codes(unseen)
    shutil.copyfile(validation, calibration)
    learned = [_codes(merged), _codes(calibration)]
    following = taxonomy.with_answerable(_count(pd.concat(learned), pd.concat([_codes(test), rest])))
    write_taxonomy(answerable, following)
    found = {str(code): following.class_of(code) for code in pd.concat(learned).unique()}
    elsewhere = {code: other for code, other in found.items() if other != code}
    for split in (merged, calibration):
        _relabel(split, elsewhere)
    products = len(learned[0])
    summary = {
        "snapshot": snapshot,
        "products": products,
        "products_by_code": {str(code): int(count) for code, count in learned[0].value_counts().items()},
        "learned_elsewhere": elsewhere,
        "corrections": {**counts, "skipped": len(corrections.skipped)},
        "skipped": list(corrections.skipped),
        "dropped_photos": list(corrections.dropped_photos),
    }
    report.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return products


def _codes(split: Path) -> "pd.Series[str]":
    return read_products(split, columns=["code"])["code"]


def _without(products: pd.DataFrame, corrections: pd.DataFrame) -> pd.DataFrame:
    """Return the products that no correction is about: the others are counted with the corrections."""
    known = {key for row in _contents(corrections) for key in content_keys(*row)}
    return products.loc[[known.isdisjoint(content_keys(*row)) for row in _contents(products)]]


def _contents(products: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    return zip(products["designation"], products["description"], products["image_sha256"], strict=True)


def _count(learned: "pd.Series[str]", others: "pd.Series[str]") -> dict[str, int]:
    """Count the products of each category of `learned`; a category of which only `others` has some is not answered."""
    codes = pd.concat([learned, others[others.isin(learned.unique())]])
    return {str(code): int(count) for code, count in codes.value_counts().items()}


def _relabel(split: Path, learned: Mapping[str, str | None]) -> None:
    """Give the products of a split the codes where they are learned; without one they keep their own."""
    table = read_products(split)
    codes = table["code"].map(learned)
    if codes.notna().any():
        table["code"] = codes.fillna(table["code"])
        table.to_parquet(split, index=False)


@dataclass(frozen=True, slots=True)
class SnapshotRows:
    """The usable corrections of a snapshot as rows of `COLUMNS`, and the others with the reason."""

    rows: tuple[tuple[object, ...], ...]
    skipped: tuple[dict[str, str], ...]
    dropped_photos: tuple[dict[str, str], ...]
    """Corrections that are used without their photo, and the reason."""


def _read_corrections(store: ObjectStore, snapshot: str, taxonomy: Taxonomy) -> SnapshotRows:
    """Read the corrections of a snapshot, oldest first, with their photos."""
    items = sorted(read_snapshot(store, snapshot).corrections, key=lambda item: (item.since, item.feedback_id))
    state = read_state(store).until(taxonomy.version)
    rows, skipped, dropped = [], [], []
    with ThreadPoolExecutor(TRANSFERS) as pool:
        prepared: Iterator[tuple[tuple[object, ...], str] | str] = pool.map(
            lambda item: _prepare(store, item, taxonomy, state), items
        )
        for item, one in zip(items, prepared, strict=True):
            if isinstance(one, str):
                skipped.append({"feedback_id": item.feedback_id, "reason": one})
                continue
            row, problem = one
            rows.append(row)
            if problem:
                dropped.append({"feedback_id": item.feedback_id, "reason": problem})
    return SnapshotRows(tuple(rows), tuple(skipped), tuple(dropped))


def _prepare(
    store: ObjectStore, item: SnapshotItem, taxonomy: Taxonomy, state: TaxonomyState
) -> tuple[tuple[object, ...], str] | str:
    """Return the row of a correction and why its photo is dropped, or why the correction cannot be used.

    A photo that cannot be used costs the photo, not a correction that has text. Only the store can fail the step.
    """
    product = item.product
    try:
        code = state.read(item.code, item.taxonomy_version).code if state.applied else item.code
        if code is None:
            return f"category code {item.code!r} is retired or split, and no category has taken its place"
        if code not in taxonomy:
            return f"category code {item.code!r} is not one of the {len(taxonomy.categories)} known codes"
        if not content_keys(product.designation, product.description, product.image_sha256 or ""):
            return "the product has neither a word of text nor a photo"
        photo, problem = _read_photo(store, product.image_sha256) if product.image_sha256 else (None, "")
        if problem and not content_keys(product.designation, product.description):
            return problem
        return _row(item, code, photo), problem
    except StoreError:
        raise
    except Exception as error:  # noqa: BLE001 - one correction never fails a run
        return f"the correction cannot be prepared: {type(error).__name__}: {str(error)[:200]!a}"


def _read_photo(store: ObjectStore, digest: str) -> tuple[bytes | None, str]:
    """Return a photo without the bytes behind the picture, or None and the reason why it cannot be used."""
    key = image_key(digest)
    try:
        photo = store.get(key)
    except ObjectNotFound:
        return None, f"photo {key!r} is missing in the store"
    if hashlib.sha256(photo).hexdigest() != digest:
        return None, f"photo {key!r} does not match its SHA-256"
    try:
        decoding.decode(photo)
        return picture_bytes(photo), ""
    except InvalidImage as error:
        return None, f"photo {key!r} cannot be decoded: {error}"


def _row(item: SnapshotItem, code: str, photo: bytes | None) -> tuple[object, ...]:
    digest = "" if photo is None else hashlib.sha256(photo).hexdigest()
    return (
        -1 - int(item.product_key[:15], 16),  # negative, so that it never equals the id of a catalogue's product
        item.product.designation,
        item.product.description,
        image_key(digest) if digest else "",
        code,
        0,
        digest,
        photo,
    )
