"""Tests of cutting off uniform borders."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from product_classifier.images import decoding
from product_classifier.images.scaling import UNIFORM, trim

OBJECT = np.random.default_rng(27).integers(0, 100, (30, 40, 3)).astype(np.uint8)


def bordered(top: int, bottom: int, left: int, right: int, color: int = 255) -> np.ndarray:
    return np.pad(OBJECT, ((top, bottom), (left, right), (0, 0)), constant_values=color)


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 50), st.integers(1, 50), st.integers(130, 255))
def test_a_uniform_border_is_cut_off(top: int, bottom: int, left: int, right: int, color: int) -> None:
    assert np.array_equal(OBJECT, trim(bordered(top, bottom, left, right, color)))


@given(st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_a_border_that_varies_within_the_tolerance_is_cut_off(seed: int, width: int) -> None:
    photo = bordered(width, width, width, width, 240).astype(int)
    noise = np.random.default_rng(seed).integers(-UNIFORM // 2, UNIFORM // 2, photo.shape)
    noise[width:-width, width:-width] = 0

    assert np.array_equal(OBJECT, trim((photo + noise).clip(0, 255).astype(np.uint8)))


@pytest.mark.parametrize(
    "photo",
    [
        np.full((40, 30, 3), 200, np.uint8),
        np.zeros((1, 1, 3), np.uint8),
        np.pad(OBJECT, ((9, 0), (0, 9), (0, 0)), constant_values=255),
        np.concatenate([bordered(5, 5, 5, 5, 255), bordered(5, 5, 5, 5, 200)]),
    ],
    ids=["nothing inside", "one pixel", "two sides", "two colors"],
)
def test_a_photo_without_a_uniform_border_is_kept(photo: np.ndarray) -> None:
    assert np.array_equal(photo, trim(photo))


def test_a_photo_of_several_strips_is_trimmed_as_a_whole() -> None:
    photo = np.full((2000, 1000, 3), 255, np.uint8)
    photo[100, 400], photo[1900, 200] = 0, 0

    assert (1801, 201, 3) == trim(photo).shape


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "AVIF"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_every_format_is_trimmed_before_it_is_scaled(kind: str, orientation: int) -> None:
    photo = np.full((400, 400, 3), 255, np.uint8)
    photo[100:300, 50:350] = 40
    exif = Image.Exif()
    exif[0x0112] = orientation
    target = io.BytesIO()
    Image.fromarray(photo).save(target, kind, exif=exif, quality=95)

    plain = decoding.decode(target.getvalue(), 64)
    trimmed = decoding.decode(target.getvalue(), 64, trimmed=True)

    dark = {name: (pixels < 128).all(axis=2).mean() for name, pixels in {"plain": plain, "trimmed": trimmed}.items()}
    assert 0.375 == pytest.approx(dark["plain"], abs=0.04)
    assert 0.667 == pytest.approx(dark["trimmed"], abs=0.04)


def test_a_white_border_changes_nothing_in_a_lossless_photo() -> None:
    encoded = []
    for photo in (bordered(1, 1, 1, 1), bordered(20, 5, 9, 30)):
        target = io.BytesIO()
        Image.fromarray(photo).save(target, "PNG")
        encoded.append(target.getvalue())

    assert np.array_equal(*(decoding.decode(photo, 32, trimmed=True) for photo in encoded))
