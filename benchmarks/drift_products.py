"""Products of quiet and of drifted windows, as a release predicts them."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import cv2
import numpy as np

from components.measure_drift.window_products import measure_products
from product_classifier.catalogue.challenge.sample.offers import Offer, offer
from product_classifier.catalogue.challenge.sample.photo_generator import PACKAGING, PACKAGING_IN_SEASON, photo
from product_classifier.errors import BundleRefused
from product_classifier.feedback.records import (
    CategoryProbability,
    Modalities,
    PredictionRecord,
    ProductContent,
    new_id,
)
from product_classifier.monitoring.measured_products import MeasuredProducts
from product_classifier.monitoring.reference_profile import ReferenceProfile
from product_classifier.releases.release import load_fusion, load_image, load_text

FIRST = 1_000_000
"""Number of the first product: none of them is in the catalogue the release was trained on."""
NEVER = 10**9
TRANSLATED = {
    "pour": "for", "de": "of", "la": "the", "le": "the", "et": "and", "en": "in", "avec": "with", "un": "a", "une": "a",
    "noir": "black", "bleu": "blue", "rouge": "red", "enfant": "child", "jeu": "game", "livre": "book", "lampe": "lamp",
}  # fmt: skip


@dataclass(frozen=True)
class SampleProduct:
    """A product as it is sent to the gateway."""

    designation: str
    description: str
    photo: bytes | None
    code: str


Change = Callable[[SampleProduct, Random], SampleProduct]


@dataclass(frozen=True)
class Drift:
    """An injected change of products."""

    name: str
    season: bool = False
    change: Change = lambda product, _: product
    keep: Callable[[SampleProduct, Random], bool] = lambda _product, _random: True


def english(product: SampleProduct, _random: Random) -> SampleProduct:
    """Translate what is in the dictionary; other words are no longer French either."""
    texts = (product.designation, product.description)
    title, text = (" ".join(TRANSLATED.get(word.lower(), f"{word}s the") for word in one.split()) for one in texts)
    return replace(product, designation=title, description=text)


def gray(product: SampleProduct, _random: Random) -> SampleProduct:
    if product.photo is None:
        return product
    pixels = cv2.imdecode(np.frombuffer(product.photo, np.uint8), cv2.IMREAD_GRAYSCALE)
    _, encoded = cv2.imencode(".jpg", pixels)
    return replace(product, photo=encoded.tobytes())


def harmless(product: SampleProduct, random: Random) -> SampleProduct:
    """Some sellers write in capitals, and one adds a remark."""
    if random.random() < 0.1:
        product = replace(product, designation=product.designation.upper())
    if random.random() < 0.03:
        product = replace(product, description=f"{product.description} Livraison rapide.".strip())
    return product


def tripled(code: str) -> Callable[[SampleProduct, Random], bool]:
    """Keep a third of the products of all categories but one."""
    return lambda product, random: product.code == code or random.random() < 1 / 3


def dropped(product: SampleProduct, _random: Random) -> SampleProduct:
    return replace(product, description="") if product.designation or product.photo else product


QUIET = Drift("quiet")
HARMLESS = Drift("harmless", change=harmless)
DRIFTS = (
    Drift("new season", season=True),
    Drift("another language", change=english),
    Drift("gray photos", change=gray),
    Drift("descriptions dropped", change=dropped),
    Drift("one category tripled", keep=tripled("2583")),
)


def make_products(count: int, drift: Drift, seed: int) -> list[SampleProduct]:
    """Return products that no training has seen, with photos."""
    random = Random(f"{drift.name}/{seed}")  # noqa: S311 - repeatable, not secret
    found: list[SampleProduct] = []
    number = FIRST + seed * 100_000
    while len(found) < count:
        made = offer(7, number, 0 if drift.season else NEVER)
        number += 1
        product = drift.change(_product(made), random)
        if (product.designation or product.description or product.photo) and drift.keep(product, random):
            found.append(product)
    return found


def _product(made: Offer) -> SampleProduct:
    packaging = PACKAGING_IN_SEASON if made.season else PACKAGING
    shown = None if made.photo is None else photo(np.random.default_rng([7, made.photo]), made.code, packaging)
    return SampleProduct(made.title, made.description, shown, str(made.code))


class ReleasePredictor:
    """Predicts products with a release in this process, and measures them as monitoring does."""

    def __init__(self, release: Path) -> None:
        self.text, _ = load_text(release)
        self.image, _ = load_image(release)
        self.fusion, _ = load_fusion(release)
        profile = ReferenceProfile.load(release / "fusion")
        if profile is None:
            raise BundleRefused(f"{release}: has no reference profile; train it with this version")
        self.profile = profile
        self.id = release.name

    def records(self, products: Sequence[SampleProduct], created: datetime) -> list[PredictionRecord]:
        """Return the records that a gateway would write."""
        text = self.text.probabilities([one.designation for one in products], [one.description for one in products])
        has_text = np.array([bool(one.designation or one.description) for one in products])
        has_image = np.array([one.photo is not None for one in products])
        image = np.full_like(text, 1 / text.shape[1])
        image[has_image] = self.image.probabilities([one.photo for one in products if one.photo is not None])
        fused = self.fusion.combine(text, image, has_text, has_image)
        accepted = self.fusion.accepts(fused)
        codes = self.fusion.codes

        def top(row: np.ndarray) -> CategoryProbability:
            return CategoryProbability(code=codes[int(row.argmax())], probability=min(float(row.max()), 1.0))

        return [
            PredictionRecord(
                prediction_id=new_id(created),
                created=created,
                user="demo-user",
                product=ProductContent(
                    designation=one.designation,
                    description=one.description,
                    image_sha256=None if one.photo is None else _sha256(one.photo),
                ),
                code=top(fused[row]).code,
                confidence=top(fused[row]).probability,
                decision="accept" if accepted[row] else "review",
                top=(top(fused[row]),),
                modalities=Modalities(
                    text=top(text[row]) if has_text[row] else None, image=top(image[row]) if has_image[row] else None
                ),
                degraded=False,
                release=self.id,
            )
            for row, one in enumerate(products)
        ]

    def measured(self, products: Sequence[SampleProduct]) -> MeasuredProducts:
        """Return the measures of a window of these products."""
        photos = {row: one.photo for row, one in enumerate(products) if one.photo is not None}
        records = self.records(products, datetime.now(UTC))
        return measure_products(records, photos, self.profile, self.image).measured


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
