"""The models of a release without servers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from components.shared import predictions
from inference.simulation import offline
from inference.simulation.offline import Models
from inference.simulation.unseen import Product
from product_classifier.errors import BundleRefused
from product_classifier.releases.release import load_fusion
from product_classifier.taxonomy import CODES
from tests.inference.simulation.conftest import a_product
from tests.support.fixtures_models import draw_photo


@pytest.fixture(scope="module")
def models(release_dir: Path) -> Models:
    return Models(release_dir)


def test_answers_are_those_the_training_counts_with(models: Models, release_dir: Path, splits_dir: Path) -> None:
    said = predictions.predict(splits_dir / "test.parquet", splits_dir, release_dir, release_dir)
    fusion, _ = load_fusion(release_dir)
    expected = fusion.combine(said.text, said.image, said.has_text, said.has_image)
    rows = said.products[["product_id", "designation", "description", "image_path", "code"]]
    products = [Product(*map(_plain, row), "", "a") for row in rows.itertuples(index=False)]
    photos = {product.photo: (splits_dir / product.photo).read_bytes() for product in products if product.photo}
    told: list[int] = []

    answers = models.answer(products, photos, told.append)

    assert [CODES[best] for best in expected.argmax(axis=1)] == [answer and answer.code for answer in answers]
    np.testing.assert_allclose([answer.confidence for answer in answers if answer], expected.max(axis=1), atol=1e-5)
    assert len(products) == told[-1]


def test_a_photo_that_cannot_be_opened_spoils_no_other(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline, "BATCH", 4)
    shown = a_product(1, photo="good.jpg")
    spoiled = replace(shown, photo="bad.jpg")
    blank = replace(spoiled, designation="")
    photos = {"good.jpg": draw_photo(1), "bad.jpg": b"GIF89a"}

    alone, _, _ = models.answer([shown, replace(shown, photo=""), a_product(2)], photos)
    answers = models.answer([shown, spoiled, blank], photos)

    assert alone == answers[0]
    assert models.answer([replace(shown, photo="")], {}) == [answers[1]]
    assert answers[2] is None


def test_a_folder_that_is_no_release_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleRefused, match=r"has no release\.json"):
        Models(tmp_path)


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value
