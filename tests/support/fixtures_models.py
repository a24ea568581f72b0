"""Fixtures: a small release, trained once per session on generated products."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import simplejpeg
from filelock import FileLock

from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.releases.release import ReleaseMeta, write_release

_ADJECTIVES = ("bleu", "rouge", "neuf", "grand", "ancien", "petit", "solide", "léger")
_PER_CATEGORY = 8


@pytest.fixture(scope="session")
def release_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release trained on the labels of the categories and on photos of stripes."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "models"
    with FileLock(shared / "models.lock"):  # workers of one session share one training
        if not (folder / "release" / "release.json").exists():
            _train(folder)
    return folder / "release"


@pytest.fixture(scope="session")
def splits_dir(release_dir: Path) -> Path:
    """The splits of `release_dir` in Parquet files; photo paths are relative to this folder."""
    return release_dir.parent


def draw_photo(index: int, seed: int = 0, side: int = 48) -> bytes:
    """Return a JPEG of stripes whose direction, width and color depend on the category."""
    rng = np.random.default_rng(1000 * index + seed)
    rows, columns = np.mgrid[0:side, 0:side]
    angle = index * np.pi / len(CHALLENGE)
    waves = np.sin((rows * np.sin(angle) + columns * np.cos(angle)) / (1 + index % 4) + rng.uniform(0, 6))
    tint = np.array([index * 9, 255 - index * 7, 40 + index * 31 % 180])
    pixels = np.where(waves[:, :, None] > 0, tint, 240) + rng.normal(0, 12, (side, side, 3))
    return simplejpeg.encode_jpeg(np.ascontiguousarray(pixels.clip(0, 255).astype(np.uint8)), 90)


def make_split(folder: Path, name: str, per_category: int, seed: int) -> Path:
    """Write `name`.parquet; some products have no photo, description or designation."""
    rows = list(_products(folder, name, per_category, seed))
    pd.DataFrame(rows).to_parquet(folder / f"{name}.parquet")
    return folder / f"{name}.parquet"


def _products(folder: Path, name: str, per_category: int, seed: int) -> Iterator[dict[str, object]]:
    rng = np.random.default_rng(seed)
    photos = folder / f"photos-{name}"
    photos.mkdir(parents=True)
    for index, category in enumerate(CHALLENGE):
        for copy in range(per_category):
            number = 1000 * seed + index * per_category + copy
            words = [category.label("fr"), *rng.choice(_ADJECTIVES, 2), str(rng.integers(100))]
            photo = photos / f"{number}.jpg"
            photo.write_bytes(draw_photo(index, seed + copy))
            yield {
                "product_id": number,
                "designation": "" if copy % 8 == 6 else " ".join(words),
                "description": f"<p>{category.label('fr')} &eacute;l&eacute;gant</p>"
                if copy % 2 and copy % 8 != 6
                else "",
                "image_path": "" if copy % 8 == 3 else photo.relative_to(folder).as_posix(),
                "code": category.code,
                "line": number + 2,
                "image_sha256": "",
            }


def _train(folder: Path) -> None:
    from components.fit_fusion import step as fit_fusion
    from components.train_image import step as train_image
    from components.train_text import step as train_text

    folder.mkdir()
    train = make_split(folder, "train", _PER_CATEGORY, 1)
    validation = make_split(folder, "validation", 4, 2)
    make_split(folder, "test", 4, 3)
    text, image, fusion = (folder / kind for kind in ("text", "image", "fusion"))
    predictions = folder / "text_out_of_fold.parquet", folder / "image_out_of_fold.parquet"
    train_text.run(train, validation, text, predictions[0], CHALLENGE, buckets=2**13)
    train_image.run(train, validation, folder, image, predictions[1], CHALLENGE, size=64)
    fit_fusion.run(train, validation, *predictions, fusion, CHALLENGE)
    metrics = {"fusion": {"weighted_f1": 0.5}, "test_set": "made-up"}
    write_release(folder / "release", text, image, fusion, ReleaseMeta("made-up", metrics=metrics), CHALLENGE)
