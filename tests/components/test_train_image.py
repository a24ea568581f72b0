import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from components.shared.out_of_fold import read_out_of_fold
from components.train_image import step
from product_classifier.bundles.bundle import file_entry
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import InvalidSettings
from product_classifier.releases.release import load_image
from product_classifier.taxonomy import Taxonomy
from tests.support.fixtures_models import draw_photo


def test_accuracy_is_far_above_chance(release_dir: Path, splits_dir: Path) -> None:
    model, _ = load_image(release_dir / "image")
    products = pd.read_parquet(splits_dir / "test.parquet")
    products = products[products["image_path"] != ""]

    found = model.probabilities([(splits_dir / path).read_bytes() for path in products["image_path"]])

    predicted = np.array(model.codes)[found.argmax(axis=1)]
    assert (predicted == products["code"]).mean() > 3 / len(model.codes)


def test_every_photo_is_predicted_out_of_fold(splits_dir: Path) -> None:
    found = read_out_of_fold(splits_dir / "image_out_of_fold.parquet")

    products = pd.concat([pd.read_parquet(splits_dir / f"{side}.parquet") for side in ("train", "validation")])
    assert set(products[products["image_path"] != ""]["product_id"]) == set(found.product_ids)
    assert np.allclose(1, found.probabilities.dense().sum(axis=1), atol=1e-5)


@pytest.fixture
def few(splits_dir: Path, tmp_path: Path) -> Path:
    """Splits of 12 and 6 products with photos."""
    for side, count in (("train", 12), ("validation", 6)):
        products = pd.read_parquet(splits_dir / f"{side}.parquet")
        products = products[products["image_path"] != ""]
        products.iloc[:: len(products) // count].head(count).to_parquet(tmp_path / f"{side}.parquet")
    return tmp_path


def run(few: Path, raw: Path, name: str = "image", taxonomy: Taxonomy = CHALLENGE, **numbers: object) -> float:
    splits = few / "train.parquet", few / "validation.parquet"
    return step.run(*splits, raw, few / name, few / f"{name}.parquet", taxonomy, **{"size": 32} | numbers)  # type: ignore[arg-type]


def test_equal_photos_and_seed_give_equal_bytes(few: Path, splits_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(few, splits_dir)
    monkeypatch.setattr("os.cpu_count", lambda: 7)
    run(few, splits_dir, "again")

    for name in ("model.onnx", "model.json"):
        assert file_entry(few / "image" / name) == file_entry(few / "again" / name)
    assert file_entry(few / "image.parquet") == file_entry(few / "again.parquet")


def test_categories_without_photos_get_a_small_probability(few: Path, splits_dir: Path) -> None:
    run(few, splits_dir)

    found = read_out_of_fold(few / "image.parquet")
    codes = set(pd.read_parquet(few / "train.parquet")["code"]) | set(
        pd.read_parquet(few / "validation.parquet")["code"]
    )
    unseen = [code not in codes for code in CHALLENGE.codes]
    assert any(unseen)
    assert 0 < found.probabilities.dense()[:, unseen].min()
    assert found.probabilities.dense()[:, unseen].mean() < found.probabilities.dense()[:, np.logical_not(unseen)].mean()


@pytest.mark.parametrize("codes", [1, 2])
def test_photos_of_few_categories_are_enough(few: Path, splits_dir: Path, codes: int) -> None:
    for side in ("train", "validation"):
        products = pd.read_parquet(few / f"{side}.parquet")
        products["code"] = [CHALLENGE.codes[row % codes] for row in range(len(products))]
        products.to_parquet(few / f"{side}.parquet")

    run(few, splits_dir, precision="float32")

    assert load_image(few / "image")[0].codes == CHALLENGE.codes


def test_photos_named_by_absolute_paths_are_read_wherever_the_raw_folder_is(few: Path, splits_dir: Path) -> None:
    run(few, splits_dir, precision="float32")
    for side in ("train", "validation"):
        products = pd.read_parquet(few / f"{side}.parquet")
        products["image_path"] = [str(splits_dir / path) for path in products["image_path"]]
        products.to_parquet(few / f"{side}.parquet")

    run(few, few / "elsewhere", "absolute", precision="float32")

    assert file_entry(few / "image.parquet") == file_entry(few / "absolute.parquet")


def test_a_missing_photo_is_left_out(few: Path, splits_dir: Path, tmp_path: Path) -> None:
    products = pd.read_parquet(few / "train.parquet")
    for path in products["image_path"]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(splits_dir / path, tmp_path / path)
    products.loc[0, "image_path"] = "missing.jpg"
    products.to_parquet(few / "train.parquet")
    products.tail(2).assign(product_id=[10**9, 10**9 + 1]).to_parquet(few / "validation.parquet")

    run(few, tmp_path, precision="float32")

    assert len(products) + 1 == len(read_out_of_fold(few / "image.parquet").product_ids)


@pytest.mark.parametrize("photos", [0, 1])
def test_with_fewer_than_two_photos_the_model_is_uniform(few: Path, splits_dir: Path, photos: int) -> None:
    products = pd.read_parquet(few / "train.parquet")
    products.head(photos).to_parquet(few / "train.parquet")
    products.head(0).to_parquet(few / "validation.parquet")

    assert 0 == run(few, splits_dir)

    model, _ = load_image(few / "image")
    expected = np.full((2, len(CHALLENGE)), 1 / len(CHALLENGE), np.float32)
    assert np.array_equal(expected, model.probabilities([draw_photo(0), draw_photo(1)]))
    assert not len(read_out_of_fold(few / "image.parquet").product_ids)


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        ({"precision": "int4"}, r"precision: is 'int4'; use one of int8, float32"),
        ({"size": 8}, r"size: is 8; use at least 32"),
    ],
)
def test_a_value_that_is_not_accepted_is_named(
    few: Path, splits_dir: Path, numbers: dict[str, object], reason: str
) -> None:
    with pytest.raises(InvalidSettings, match=reason):
        run(few, splits_dir, **numbers)


def test_the_bundle_says_that_borders_are_trimmed(release_dir: Path) -> None:
    assert json.loads((release_dir / "image" / "model.json").read_text())["trimmed"] is True


def test_a_network_from_scratch_is_trained(few: Path, splits_dir: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed; run `make encoders`")

    run(few, splits_dir, backbone="scratch", epochs=1)

    model, info = load_image(few / "image")
    assert (CHALLENGE.codes, "image") == (model.codes, info.kind)
    assert 6 == len(read_out_of_fold(few / "image.parquet").product_ids)


def test_a_pretrained_backbone_on_disk_is_fine_tuned(few: Path, splits_dir: Path, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed; run `make encoders`")

    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=5
    )
    transformers.ResNetForImageClassification(config).save_pretrained(tmp_path / "backbone")
    processor = transformers.ConvNextImageProcessor(image_mean=[0.4] * 3, image_std=[0.3] * 3)
    processor.save_pretrained(tmp_path / "backbone")

    run(few, splits_dir, backbone=str(tmp_path / "backbone"), epochs=1)

    assert load_image(few / "image")[0].codes == CHALLENGE.codes
