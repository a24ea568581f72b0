"""Predictions of a release without servers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from components.shared import predictions
from inference.simulation import offline
from inference.simulation.offline import OfflineModels
from inference.simulation.unseen import UnseenProduct
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import BundleRefused
from product_classifier.releases.release import load_fusion
from tests.inference.simulation.conftest import make_product
from tests.support.fixtures_models import draw_photo


@pytest.fixture(scope="module")
def models(release_dir: Path) -> OfflineModels:
    return OfflineModels(release_dir)


def test_predictions_are_those_of_the_training(models: OfflineModels, release_dir: Path, splits_dir: Path) -> None:
    found = predictions.predict(splits_dir / "test.parquet", splits_dir, release_dir, release_dir)
    fusion, _ = load_fusion(release_dir)
    expected = found.combine(fusion).dense()
    rows = found.products[["product_id", "designation", "description", "image_path", "code"]]
    products = [UnseenProduct(*map(_plain, row), "", "a") for row in rows.itertuples(index=False)]
    photos = {product.photo: (splits_dir / product.photo).read_bytes() for product in products if product.photo}
    progress: list[int] = []

    results = models.predict(products, photos, progress.append)

    assert [CHALLENGE.codes[best] for best in expected.argmax(axis=1)] == [one and one.code for one in results]
    np.testing.assert_allclose([one.confidence for one in results if one], expected.max(axis=1), atol=1e-5)
    assert len(products) == progress[-1]


def test_an_invalid_photo_does_not_affect_the_others(models: OfflineModels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline, "BATCH", 4)
    valid = make_product(1, photo="good.jpg")
    invalid = replace(valid, photo="bad.jpg")
    blank = replace(invalid, designation="")
    photos = {"good.jpg": draw_photo(1), "bad.jpg": b"GIF89a"}

    expected, _, _ = models.predict([valid, replace(valid, photo=""), make_product(2)], photos)
    results = models.predict([valid, invalid, blank], photos)

    assert expected == results[0]
    assert models.predict([replace(valid, photo="")], {}) == [results[1]]
    assert results[2] is None


def test_a_folder_without_a_release_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleRefused, match=r"has no release\.json"):
        OfflineModels(tmp_path)


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value
