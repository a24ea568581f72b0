"""List the training labels that are probably wrong."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from components.find_suspects.report import render
from components.shared.out_of_fold import read_predicted
from components.shared.raw import photo_path
from product_classifier.catalogue.content_keys import content_keys
from product_classifier.evaluation.suspects import Suspect, find_suspects
from product_classifier.feedback.records import image_key
from product_classifier.observability import get_logger
from product_classifier.releases.release import load_fusion
from product_classifier.store import ObjectStore, content_addressed, open_store
from product_classifier.taxonomy import Codes, Taxonomy
from product_classifier.text.normalization import normalize
from product_classifier.text.writing_systems import comparison_terms


def run(
    train: Path,
    validation: Path,
    raw: Path,
    text_out_of_fold: Path,
    image_out_of_fold: Path,
    fusion: Path,
    suspects: Path,
    report: Path,
    taxonomy: Taxonomy,
    limit: int = 200,
    store: str = "",
) -> int:
    """Write `suspects` (JSON) and `report` (HTML); return how many labels are listed.

    Args:
        train: Products that the models are trained on (parquet).
        validation: More products with a category (parquet).
        raw: Folder of the raw files, which `image_path` is relative to.
        text_out_of_fold: Predictions of text models that were not trained on the product (parquet).
        image_out_of_fold: Predictions of image models that were not trained on the product (parquet).
        fusion: Bundle of the fusion model.
        suspects: The listed products with their labels and the suggested ones, the most probable error first.
        report: The same as a page with photos.
        taxonomy: Labels of the categories.
        limit: Number of labels that are listed.
        store: URL of the object store for the photos of the listed products, which reviewers see; empty for none.

    Raises:
        CatalogueError: If a file of predictions has another format, or the two have different categories.
        StoreUnavailable: If a photo cannot be stored.
    """
    predicted = read_predicted(train, validation, text_out_of_fold, image_out_of_fold, ("image_path", "line"))
    model, _ = load_fusion(fusion, predicted.codes)
    products, labels = predicted.products, predicted.labels
    probabilities = model.combine_top(predicted.text, predicted.image, predicted.has_text, predicted.has_image)
    fields = list(zip(products["designation"], products["description"], products["image_sha256"], strict=True))
    found = find_suspects(
        probabilities,
        labels,
        [content_keys(*one) for one in fields],
        [frozenset(comparison_terms(normalize(designation, description))) for designation, description, _ in fields],
        limit,
    )
    rows = [_described(one, products, predicted.codes) for one in found]
    shown = [{**row, **{name: taxonomy.to_json_code(row[name]) for name in ("code", "suggested_code")}} for row in rows]
    for path, content in (
        (suspects, json.dumps({"labels": len(products), "suspects": shown}, indent=1, ensure_ascii=False) + "\n"),
        (report, render(rows, len(products), raw, taxonomy)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    if store:
        _store_photos(rows, raw, open_store(store))
    return len(rows)


def _store_photos(rows: list[dict[str, Any]], raw: Path, store: ObjectStore) -> None:
    """Write the photos that can be read under their hashes, as those of predictions and corrections."""
    photos = {row["image_path"]: row["image_sha256"] for row in rows if row["image_path"]}
    for path, sha256 in photos.items():
        if sha256 and store.exists(image_key(sha256)):  # of a correction
            continue
        try:
            content = photo_path(raw, path).read_bytes()
        except OSError as error:
            get_logger().warning("photo_dropped", photo=path, reason=str(error))
        else:
            content_addressed.write(store, image_key, content)


def _described(suspect: Suspect, products: pd.DataFrame, codes: Codes) -> dict[str, Any]:
    """Return a suspect with its product."""
    product = products.iloc[suspect.row]
    return {
        "product_id": _plain(product["product_id"]),
        "designation": product["designation"],
        "description": product["description"],
        "image_path": product["image_path"],
        "image_sha256": product["image_sha256"],
        "code": codes[suspect.label],
        "probability": round(suspect.label_probability, 6),
        "suggested_code": codes[suspect.suggested],
        "suggested_probability": round(suspect.suggested_probability, 6),
        "copies": [_plain(products["product_id"].iloc[row]) for row in suspect.copies],
    }


def _plain(identifier: Any) -> Any:
    """Return a product id as a value of Python, which JSON can hold."""
    return identifier.item() if hasattr(identifier, "item") else identifier
