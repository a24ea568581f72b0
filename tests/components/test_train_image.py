from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.train_image import step
from components.train_image.photo_array import read_photos
from product_classifier.errors import CatalogueError
from product_classifier.releases.release import load_image
from product_classifier.taxonomy import CHALLENGE


def test_accuracy_is_far_above_chance(release_dir: Path, splits_dir: Path) -> None:
    model, _ = load_image(release_dir / "image")
    products = pd.read_parquet(splits_dir / "test.parquet")
    products = products[products["image_path"] != ""]

    found = model.probabilities([(splits_dir / path).read_bytes() for path in products["image_path"]])

    predicted = np.array(model.codes)[found.argmax(axis=1)]
    assert (predicted == products["code"]).mean() > 3 / len(model.codes)


def test_photos_named_by_absolute_paths_are_read_wherever_the_raw_folder_is(splits_dir: Path, tmp_path: Path) -> None:
    products = pd.read_parquet(splits_dir / "validation.parquet")
    products["image_path"] = [path and str(splits_dir / path) for path in products["image_path"]]
    products.to_parquet(tmp_path / "validation.parquet")

    pixels = []
    for split, raw in ((splits_dir, splits_dir), (tmp_path, tmp_path / "elsewhere")):
        with read_photos(split / "validation.parquet", raw, CHALLENGE.codes, 16) as photos:
            pixels.append(photos.pixels.copy())

    assert np.array_equal(*pixels)


def test_a_single_photo_is_rejected(splits_dir: Path, tmp_path: Path) -> None:
    train, validation = tmp_path / "train.parquet", splits_dir / "validation.parquet"
    pd.read_parquet(splits_dir / "train.parquet").head(1).to_parquet(train)

    with pytest.raises(CatalogueError, match="1 products to train on have a photo"):
        step.run(train, validation, splits_dir, tmp_path / "image", tmp_path / "out_of_fold", CHALLENGE, size=32)


def test_a_pretrained_backbone_on_disk_is_fine_tuned(splits_dir: Path, tmp_path: Path) -> None:
    from transformers import ConvNextImageProcessor, ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=5)
    ResNetForImageClassification(config).save_pretrained(tmp_path / "backbone")
    ConvNextImageProcessor(image_mean=[0.4] * 3, image_std=[0.3] * 3).save_pretrained(tmp_path / "backbone")

    step.run(
        splits_dir / "train.parquet",
        splits_dir / "validation.parquet",
        splits_dir,
        tmp_path / "image",
        tmp_path / "out_of_fold",
        CHALLENGE,
        size=32,
        epochs=1,
        encoder=str(tmp_path / "backbone"),
    )

    model, info = load_image(tmp_path / "image")
    assert (CHALLENGE.codes, "image") == (model.codes, info.kind)
