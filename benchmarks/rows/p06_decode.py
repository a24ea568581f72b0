"""P6: decode a JPEG of 500 by 500 pixels to the 224 by 224 input tensor."""

import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from PIL import Image

from benchmarks import materials
from benchmarks.compare import alternate, median_and_range, median_of
from benchmarks.outcome import Check, Outcome
from benchmarks.timing import ms_per_item
from product_classifier.images import decoding
from product_classifier.images.headers import read_header
from product_classifier.images.scaling import trim

GOAL_MS = 1.0
MIN_RATIO = 5.0
PHOTOS = 60
ROUNDS = 5


def measure(_folder: Path) -> Outcome:
    """Compare the decoder of training and serving with Pillow."""
    photos = materials.photos(PHOTOS)
    found = alternate(
        {
            "ours": lambda: ms_per_item(
                lambda: [decoding.decode(photo, materials.LARGE_SIZE, trimmed=True) for photo in photos], PHOTOS
            ),
            "Pillow": lambda: ms_per_item(lambda: [_pillow(photo) for photo in photos], PHOTOS),
        },
        ROUNDS,
    )
    ours, peer = median_of(found["ours"]), median_of(found["Pillow"])
    return Outcome(
        ours=f"{ours:.2f} ms",
        peer=f"Pillow: {peer:.2f} ms",
        ratio=peer / ours,
        checks=[
            Check("CPU per photo", ours, "ms", "≤", GOAL_MS),
            Check("times faster", peer / ours, "×", "≥", MIN_RATIO),
        ],
        details=[{"what": name, "CPU ms per photo": median_and_range(rounds)} for name, rounds in found.items()],
        profile=_profile(photos),
        note=f"{PHOTOS} photos of {np.mean([len(photo) for photo in photos]) / 1000:.0f} kB on average.",
    )


def _profile(photos: Sequence[bytes]) -> Sequence[str]:
    """Return the cost of the parts of decoding; all coefficients are read even when the photo is scaled down."""
    size = materials.LARGE_SIZE
    shrunk = simplejpeg.decode_jpeg(photos[0], "RGB", min_width=size)
    parts: Mapping[str, Callable[[bytes], object]] = {
        "parse headers": read_header,
        f"decode to {shrunk.shape[1]} by {shrunk.shape[0]} pixels": lambda photo: simplejpeg.decode_jpeg(
            photo, "RGB", min_width=size
        ),
        "trim the border": lambda _: trim(shrunk),
        f"resize to {size} by {size}": lambda _: cv2.resize(shrunk, (size, size), interpolation=cv2.INTER_LINEAR),
    }
    return [f"{ms_per_item(partial(_each, part, photos), len(photos)):.3f} ms {name}" for name, part in parts.items()]


def _each(part: Callable[[bytes], object], photos: Sequence[bytes]) -> None:
    for photo in photos:
        part(photo)


def _pillow(photo: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(photo)).convert("RGB")
    return np.asarray(image.resize((materials.LARGE_SIZE,) * 2, Image.Resampling.BILINEAR))
