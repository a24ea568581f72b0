from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.train_image import step
from product_classifier.errors import CatalogueError
from product_classifier.releases.release import load_image


def test_photos_are_told_apart_far_better_than_by_chance(release_dir: Path, splits_dir: Path) -> None:
    model, _ = load_image(release_dir / "image")
    products = pd.read_parquet(splits_dir / "test.parquet")
    products = products[products["image_path"] != ""]

    found = model.probabilities([Path(path).read_bytes() for path in products["image_path"]])

    guessed = np.array(model.codes)[found.argmax(axis=1)]
    assert (guessed == products["code"]).mean() > 3 / len(model.codes)


def test_one_photo_is_too_few(splits_dir: Path, tmp_path: Path) -> None:
    train = pd.read_parquet(splits_dir / "train.parquet").head(1)
    train.to_parquet(tmp_path / "train.parquet")

    with pytest.raises(CatalogueError, match="1 products to learn from have a photo"):
        step.run(tmp_path / "train.parquet", splits_dir / "validation.parquet", tmp_path / "image", size=32)


def test_a_pretrained_backbone_on_disk_is_fine_tuned(splits_dir: Path, tmp_path: Path) -> None:
    from transformers import ConvNextImageProcessor, ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=5)
    ResNetForImageClassification(config).save_pretrained(tmp_path / "backbone")
    ConvNextImageProcessor(image_mean=[0.4] * 3, image_std=[0.3] * 3).save_pretrained(tmp_path / "backbone")

    step.run(
        splits_dir / "train.parquet",
        splits_dir / "validation.parquet",
        tmp_path / "image",
        size=32,
        epochs=1,
        encoder=str(tmp_path / "backbone"),
    )

    model, info = load_image(tmp_path / "image")
    assert (len(model.codes), info.kind) == (27, "image")
