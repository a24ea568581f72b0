from pathlib import Path

import numpy as np
import pytest

from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import BundleRefused, InvalidImage
from product_classifier.images import decoding
from product_classifier.images.model import BATCH, ImageModel
from product_classifier.releases.release import load_image
from tests.support.fixtures_models import draw_photo

CODES = CHALLENGE.codes


@pytest.fixture(scope="session")
def model(release_dir: Path) -> ImageModel:
    return load_image(release_dir)[0]


def test_photos_get_probabilities(model: ImageModel) -> None:
    probabilities = model.probabilities([draw_photo(index) for index in range(BATCH + 3)])

    assert ((BATCH + 3, len(CODES)), np.float32) == (probabilities.shape, probabilities.dtype)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_no_photos_get_an_empty_array(model: ImageModel) -> None:
    assert (0, len(CODES)) == model.probabilities([]).shape
    assert (0, len(CODES)) == model.probabilities_from_pixels(np.zeros((0, 32, 32, 3), np.uint8)).shape


def test_a_prediction_does_not_depend_on_the_batch(model: ImageModel) -> None:
    photos = [draw_photo(index) for index in range(5)]

    alone = np.concatenate([model.probabilities([photo]) for photo in photos])
    assert np.allclose(alone, model.probabilities(photos), atol=1e-5)


def test_bytes_and_pixels_get_equal_probabilities(model: ImageModel) -> None:
    photo = draw_photo(3)

    pixels = decoding.decode(photo, model.size, trimmed=model.trimmed)[None]
    assert np.array_equal(model.probabilities([photo]), model.probabilities_from_pixels(pixels))


def test_a_file_that_is_no_photo_is_invalid(model: ImageModel) -> None:
    with pytest.raises(InvalidImage, match="GIF"):
        model.probabilities([draw_photo(1), b"GIF89a"])


def test_the_trained_network_beats_chance(model: ImageModel) -> None:
    probabilities = model.probabilities([draw_photo(index, 77) for index in range(len(CODES))]).argmax(axis=1)

    assert (probabilities == np.arange(len(CODES))).mean() > 0.3


def test_a_saved_model_returns_the_same_probabilities(model: ImageModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    again = ImageModel.load(tmp_path)
    again.save(tmp_path)

    photo = [draw_photo(2)]
    assert np.array_equal(model.probabilities(photo), again.probabilities(photo))


def test_a_missing_graph_is_refused(model: ImageModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    (tmp_path / "model.onnx").unlink()

    with pytest.raises(BundleRefused, match=r"model\.onnx: is missing"):
        ImageModel.load(tmp_path)
