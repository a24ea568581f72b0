"""Render the suspects as one self-contained page with photos."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import jinja2

from components.shared.raw import photo_path
from product_classifier.errors import InvalidImage
from product_classifier.images.decoding import decode
from product_classifier.taxonomy import Taxonomy
from product_classifier.text.normalization import strip_markup

_PAGE = Path(__file__).with_name("report.html")
_TEXT_LENGTH = 200
_THUMBNAIL_PIXELS = 96


def render(suspects: Sequence[Mapping[str, Any]], labels: int, raw: Path, taxonomy: Taxonomy) -> str:
    """Return the page; texts of products are escaped and shortened, photos are data URIs.

    Args:
        suspects: As `step.run` writes them, with codes as texts.
        labels: Number of labels that were examined.
        raw: Folder of the raw files.
        taxonomy: Labels of the categories.
    """
    rows = [
        {
            **one,
            "text": strip_markup(one["designation"], one["description"])[:_TEXT_LENGTH],
            "label": taxonomy.label(one["code"]),
            "suggested_label": taxonomy.label(one["suggested_code"]),
            "photo": _thumbnail(raw, one["image_path"]),
        }
        for one in suspects
    ]
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_PAGE.read_text("utf-8")).render(suspects=rows, labels=labels)


def _thumbnail(raw: Path, image_path: str) -> str:
    """Return a photo as a data URI; empty without one that can be read."""
    if not image_path:
        return ""
    try:
        pixels = decode(photo_path(raw, image_path).read_bytes(), _THUMBNAIL_PIXELS)
    except (InvalidImage, OSError):
        return ""
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), (cv2.IMWRITE_JPEG_QUALITY, 70))
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}"
