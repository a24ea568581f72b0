"""Shared inputs of all rows, generated from a seed: products, photos of realistic size and a release.

The image model is the default one, EfficientNet-Lite0 in integers. The weights of its last layer are random, because
cost does not depend on them.
"""

import hashlib
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from benchmarks.environments import CACHE
from product_classifier.catalogue.challenge.sample.offers import offer, season_start
from product_classifier.catalogue.challenge.sample.photo_generator import photo
from product_classifier.top_probabilities import TopProbabilities

if TYPE_CHECKING:
    from components.train_image.network import PhotoClassifier

SEED = 27
SIDE = 500
"""Side of a photo in pixels, as in the challenge's files."""
DISTINCT_PHOTOS = 300
"""Number of photos with different pixels."""
SIZE = 176
"""Input size of the image model in pixels."""
LARGE_SIZE = 224
"""Input size of the networks that are compared with PyTorch."""
TRAINED_ON = 3000


@dataclass(frozen=True)
class LabeledProduct:
    """A sample product with its category code."""

    title: str
    description: str
    label: str


def products(count: int, first: int = 0) -> list[LabeledProduct]:
    """Return sample products that have a title."""
    found: list[LabeledProduct] = []
    season, number = season_start(10**6), first
    while len(found) < count:
        made = offer(SEED, number, season)
        number += 1
        if made.title.strip():
            found.append(LabeledProduct(made.title, made.description, str(made.label)))
    return found


@cache
def photos(count: int) -> tuple[bytes, ...]:
    """Return JPEG photos of 500 by 500 pixels, about 40 kB each, all with different bytes."""
    return tuple(_numbered(_large(number % DISTINCT_PHOTOS), number) for number in range(count))


def small_photo() -> bytes:
    """Return a minimal photo, for rows that measure the cost of a request without its payload."""
    _, encoded = cv2.imencode(".jpg", np.full((16, 16, 3), 200, np.uint8))
    return encoded.tobytes()


def _numbered(photo: bytes, number: int) -> bytes:
    """Insert a comment into a JPEG file, so that the store does not deduplicate it."""
    comment = b"%08d" % number
    return photo[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment + photo[2:]


@cache
def _large(number: int) -> bytes:
    random = np.random.default_rng([SEED, number])
    code = offer(SEED, number, 10**6).code
    small = cv2.imdecode(np.frombuffer(photo(random, code), np.uint8), cv2.IMREAD_COLOR)
    assert small is not None  # noqa: S101 - encoded by the line above
    pixels = cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    grain = random.normal(0, 8, (SIDE, SIDE, 3))  # sensor noise: without it the file would be smaller than a real photo
    _, encoded = cv2.imencode(".jpg", (pixels + grain).clip(0, 255).astype(np.uint8), (cv2.IMWRITE_JPEG_QUALITY, 82))
    return encoded.tobytes()


@cache
def release() -> Path:
    """Return a release folder: trained text model, random image model, equal fusion weights."""
    folder = CACHE.resolve() / f"release-{_revision()}"
    if not (folder / "release.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        _make_release(folder, CACHE.resolve() / "bundles")
    return folder


def _revision() -> str:
    """Return a hash of the code that builds the release, as part of its cache key."""
    sources = [
        *Path("src/product_classifier").rglob("*.py"),
        *Path("components/train_text").glob("*.py"),
        *Path("components/train_image").glob("*.py"),
        Path(__file__),
    ]
    code = b"".join(path.read_bytes() for path in sorted(sources))
    return hashlib.sha256(code).hexdigest()[:12]


def _make_release(folder: Path, parts: Path) -> None:
    from components.train_text.linear_training import fit_and_cross_predict  # noqa: PLC0415 - needs scikit-learn, only here
    from product_classifier.bundles import bundle  # noqa: PLC0415
    from product_classifier.catalogue.challenge import CHALLENGE  # noqa: PLC0415
    from product_classifier.fusion.fit import fit_fusion  # noqa: PLC0415
    from product_classifier.images.model import ImageModel  # noqa: PLC0415
    from product_classifier.releases import self_check  # noqa: PLC0415
    from product_classifier.releases.release import ReleaseMeta, write_release  # noqa: PLC0415
    from product_classifier.text.features import TextFeatures  # noqa: PLC0415
    from product_classifier.text.normalization import normalize  # noqa: PLC0415

    shutil.rmtree(parts, ignore_errors=True)
    for kind in ("text", "image", "fusion"):
        (parts / kind).mkdir(parents=True)
    usable = [product for product in products(TRAINED_ON) if normalize(product.title, product.description)]
    texts = [normalize(product.title, product.description) for product in usable]
    labels = np.array([CHALLENGE.index_of(product.label) for product in usable], np.int64)
    folds = np.arange(len(texts)) % 2
    text, _ = fit_and_cross_predict(texts, labels, folds, CHALLENGE.codes, TextFeatures(), 1.0, SEED)
    text.save(parts / "text")
    bundle.write_manifest(parts / "text", "text", None, self_check.record_text(text, CHALLENGE), text.codes)
    _write_image_graph(parts / "image" / "model.onnx")
    image = ImageModel(parts / "image" / "model.onnx", SIZE, CHALLENGE.codes, trimmed=True)
    image.save(parts / "image")
    bundle.write_manifest(parts / "image", "image", None, self_check.record_image(image), image.codes)
    nothing, none = TopProbabilities.uniform(0, len(CHALLENGE)), np.zeros(0, bool)
    labels, folds = np.zeros(0, np.int64), np.zeros(0, np.int64)
    fusion = fit_fusion(nothing, nothing, none, none, labels, folds, CHALLENGE.codes).model  # all weights 1
    fusion.save(parts / "fusion")
    bundle.write_manifest(parts / "fusion", "fusion", None, self_check.record_fusion(fusion), fusion.codes)
    meta = ReleaseMeta("benchmark")
    write_release(folder, parts / "text", parts / "image", parts / "fusion", meta, CHALLENGE)


def _write_image_graph(graph: Path) -> None:
    import onnx  # noqa: PLC0415 - needed only here

    from components.shared import linear_head  # noqa: PLC0415
    from components.train_image import efficientnet_lite0, quantization  # noqa: PLC0415
    from product_classifier.catalogue.challenge import CHALLENGE  # noqa: PLC0415
    from product_classifier.images import decoding  # noqa: PLC0415

    backbone = efficientnet_lite0.build(efficientnet_lite0.read_weights(), SIZE)
    pixels = (decoding.decode(photo, SIZE, trimmed=True)[None] for photo in photos(quantization.PHOTOS))
    backbone = quantization.quantize(backbone, quantization.calibrate(backbone, pixels))
    shape = (efficientnet_lite0.FEATURES, len(CHALLENGE))
    head = linear_head.LinearHead(np.random.default_rng(SEED).normal(size=shape), np.zeros(len(CHALLENGE)))
    onnx.save(linear_head.attach(head, backbone), graph)


@cache
def mobile_graph() -> Path:
    """Return `mobile_network` as an ONNX graph of `LARGE_SIZE` pixels."""
    from components.train_image.network import export  # noqa: PLC0415 - needs PyTorch

    path = CACHE.resolve() / "mobile.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    export(mobile_network(), 1.0, LARGE_SIZE, path)
    return path


def mobile_network() -> "PhotoClassifier":
    """Return a network that is compared with PyTorch: MobileNetV2 of width 0.35, random weights."""
    import torch  # noqa: PLC0415
    from transformers import AutoModelForImageClassification, MobileNetV2Config  # noqa: PLC0415

    from components.train_image.network import PhotoClassifier  # noqa: PLC0415
    from product_classifier.catalogue.challenge import CHALLENGE  # noqa: PLC0415

    torch.manual_seed(SEED)
    config = MobileNetV2Config(
        depth_multiplier=0.35, image_size=LARGE_SIZE, num_labels=len(CHALLENGE), tf_padding=False
    )
    network = PhotoClassifier(AutoModelForImageClassification.from_config(config))
    network.eval()
    return network
