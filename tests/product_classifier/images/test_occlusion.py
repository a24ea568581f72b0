"""Occlusion finds the region that a model depends on, and costs a bounded number of predictions."""

import io

import numpy as np
import pytest
from PIL import Image

from product_classifier.images.occlusion import CELLS, GRID, heat_map, occlude, occlusion_map
from product_classifier.images.scaling import Pixels
from product_classifier.limits import EXPLANATION_PREDICTIONS
from product_classifier.probabilities import Floats


class _SeesRed:
    """A model whose probability of category 0 is the share of red pixels in one cell; it counts photos."""

    def __init__(self, row: int, column: int) -> None:
        self._cell = row, column
        self.photos = 0

    def probabilities_from_pixels(self, pixels: Pixels) -> Floats:
        self.photos += len(pixels)
        step = pixels.shape[1] // GRID
        top, left = (one * step for one in self._cell)
        share = (pixels[:, top : top + step, left : left + step, 0] > 200).mean(axis=(1, 2)).astype(np.float32)
        return np.stack([share, 1 - share], axis=1)


def _photo(row: int, column: int, size: int = 60) -> Pixels:
    pixels = np.full((size, size, 3), 90, np.uint8)
    step = size // GRID
    pixels[row * step : (row + 1) * step, column * step : (column + 1) * step] = (255, 0, 0)
    return pixels


@pytest.mark.parametrize(("row", "column"), [(0, 0), (2, 3), (5, 5), (0, 5)])
def test_the_region_that_decides_has_the_largest_drop(row: int, column: int) -> None:
    drops = occlusion_map(_SeesRed(row, column), _photo(row, column), 0)

    assert (row, column) == np.unravel_index(drops.argmax(), drops.shape)
    assert pytest.approx(1) == drops.max()
    assert CELLS - 1 == np.count_nonzero(drops == 0)


def test_a_region_that_speaks_against_a_category_has_a_negative_drop() -> None:
    assert -1 == pytest.approx(float(occlusion_map(_SeesRed(1, 1), _photo(1, 1), 1).min()))


def test_an_explanation_costs_at_most_forty_predictions() -> None:
    model = _SeesRed(0, 0)
    occlusion_map(model, _photo(0, 0), 0)

    assert model.photos == EXPLANATION_PREDICTIONS <= 40


@pytest.mark.parametrize("size", [8, 61, 64, 176, 224])
def test_the_cells_cover_every_pixel_once(size: int) -> None:
    pixels = np.random.default_rng(size).integers(0, 120, (size, size, 3), dtype=np.uint8)
    pixels[0, 0] = 255  # the mean color is that of no pixel
    changed = (occlude(pixels, range(CELLS)) != pixels).any(axis=3).sum(axis=0)

    assert 1 >= changed.max()
    assert changed.mean() > 0.95


def test_the_heat_map_is_red_where_the_object_is() -> None:
    drops = np.zeros((GRID, GRID), np.float32)
    drops[1, 4], drops[4, 1] = 0.5, -0.5
    image = np.asarray(Image.open(io.BytesIO(heat_map(_photo(0, 0), drops))).convert("RGB")).astype(int)

    assert (240, 240, 3) == image.shape
    red, blue = image[60, 180], image[180, 60]
    assert red[0] > red[2] + 60
    assert blue[2] > blue[0] + 60


def test_a_heat_map_without_any_drop_is_gray() -> None:
    image = np.asarray(Image.open(io.BytesIO(heat_map(_photo(2, 2), np.zeros((GRID, GRID), np.float32)))))

    assert not np.ptp(image.astype(int), axis=2).any()
