"""Render a monitored window as one page that needs no other file."""

import base64
from pathlib import Path
from typing import Any

import cv2
import jinja2

from components.measure_drift.window_products import WindowProducts
from product_classifier.errors import InvalidImage
from product_classifier.images.decoding import decode
from product_classifier.monitoring.drift_windows import DriftWindow
from product_classifier.monitoring.movers import MAX_MOVERS

_PAGE = Path(__file__).with_name("report.html")
_THUMBNAIL_PIXELS = 96
_TEXT_LENGTH = 160


def render(window: DriftWindow, products: WindowProducts | None) -> str:
    """Return the page."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    groups = {"inputs": window.inputs, "outputs": window.outputs, "quality": window.quality}
    return environment.from_string(_PAGE.read_text("utf-8")).render(
        window=window, groups=groups, examples=_examples(window, products)
    )


def _examples(window: DriftWindow, products: WindowProducts | None) -> list[dict[str, Any]]:
    """Return the products most unlike the reference, by words and by photo."""
    if products is None:
        return []
    names = {mover.name for measure in window.inputs for mover in measure.movers}
    found = []
    for row, record in enumerate(products.records):
        if record.prediction_id in names or (record.product.image_sha256 or "") in names:
            text = f"{record.product.designation} {record.product.description}".strip()[:_TEXT_LENGTH]
            photo = _thumbnail(products.photos.get(row, b""))
            found.append({"id": record.prediction_id, "text": text, "code": record.code, "photo": photo})
    return found[: 2 * MAX_MOVERS]


def _thumbnail(photo: bytes) -> str:
    """Return a photo as a data URI; empty without one that can be read."""
    if not photo:
        return ""
    try:
        pixels = decode(photo, _THUMBNAIL_PIXELS)
    except InvalidImage:
        return ""
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, 70))
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}"
