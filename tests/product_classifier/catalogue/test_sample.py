import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.catalogue.challenge.sample import make_sample, seasonal_ids
from product_classifier.catalogue.challenge.sample.offers import offer, season_start
from product_classifier.catalogue.challenge.sample.photo_generator import DRAWINGS, photo
from product_classifier.catalogue.challenge.sample.texts import GROUP_OF
from product_classifier.catalogue.challenge.sample.words import VOCABULARIES
from product_classifier.errors import CatalogueError
from product_classifier.images import decoding

SEASON_NAMES = tuple(name.casefold() for own in VOCABULARIES.values() for name in own.season)


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.*")):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def test_the_sample_has_the_layout_of_the_challenge(sample_raw: Path) -> None:
    products = pd.read_csv(sample_raw / "X_train_update.csv", index_col=0)
    labels = pd.read_csv(sample_raw / "Y_train_CVw08PX.csv", index_col=0)
    unlabelled = pd.read_csv(sample_raw / "X_test_update.csv", index_col=0)

    assert ["designation", "description", "productid", "imageid"] == list(products.columns) == list(unlabelled.columns)
    assert list(products.index) == list(labels.index)
    assert set(CHALLENGE.codes) == set(labels["prdtypecode"].astype(str))
    assert products["productid"].is_unique
    names = {f"image_{p.imageid}_product_{p.productid}.jpg" for p in products.itertuples()}
    assert {path.name for path in (sample_raw / "images" / "image_train").iterdir()} <= names
    assert set(unlabelled["productid"]).isdisjoint(products["productid"])


def test_products_of_the_season_are_found_by_their_ids(sample_raw: Path) -> None:
    products = pd.read_csv(sample_raw / "X_train_update.csv", index_col=0)
    season = season_start(len(products))

    assert set(products["productid"].iloc[season:]) == seasonal_ids(sample_raw)


def test_equal_seeds_give_equal_catalogues(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        make_sample(tmp_path / name, 60, seed)

    assert _digest(tmp_path / "a") == _digest(tmp_path / "b")
    assert _digest(tmp_path / "a") != _digest(tmp_path / "c")


def test_the_sample_has_the_flaws_of_a_real_catalogue() -> None:
    offers = [offer(5, number, season_start(4000)) for number in range(4000)]

    shares = {
        "no description": np.mean([not made.description for made in offers]),
        "no photo": np.mean([made.photo is None for made in offers]),
        "no title": np.mean([not made.title for made in offers]),
        "wrong label": np.mean([made.label != made.code for made in offers]),
        "copy": np.mean([made.copy for made in offers]),
        "entities": np.mean(["&eacute;" in made.title + made.description for made in offers]),
        "markup": np.mean(["<" in made.description for made in offers]),
        "damaged accents": np.mean(["Ã©" in made.title + made.description for made in offers]),
    }

    expected = {"no description": 0.35, "no photo": 0.05, "no title": 0.015, "wrong label": 0.035, "copy": 0.025}
    expected |= {"entities": 0.05, "markup": 0.23, "damaged accents": 0.01}
    assert expected == {name: pytest.approx(share, rel=0.4) for name, share in shares.items()}
    assert all(made.label in GROUP_OF[made.code].codes for made in offers)


def test_the_new_season_is_not_in_the_training_split(splits: Path) -> None:
    found = Counter[str]()
    for side in ("train", "validation", "test", "unseen"):
        titles = pd.read_parquet(splits / f"{side}.parquet")["designation"].str.casefold()
        found[side] = int(titles.map(lambda title: any(name in title for name in SEASON_NAMES)).sum())

    assert 0 == found["train"] == found["validation"]
    assert found["unseen"] > found["test"] > 0


def test_every_category_has_words_and_a_drawing() -> None:
    assert set(map(int, CHALLENGE.codes)) == set(VOCABULARIES) == set(DRAWINGS) == set(GROUP_OF)


@pytest.mark.parametrize("code", map(int, CHALLENGE.codes))
def test_photos_differ_and_can_be_decoded(code: int) -> None:
    taken = [photo(np.random.default_rng([code, number]), code) for number in range(3)]

    assert 3 == len(set(taken))
    assert all(decoding.decode(data).std() > 0 for data in taken)


def test_a_complete_sample_is_not_written_again(tmp_path: Path) -> None:
    assert [True, False, True] == [make_sample(tmp_path, products, 1) for products in (30, 30, 31)]


def test_an_interrupted_sample_is_written_again(tmp_path: Path) -> None:
    make_sample(tmp_path, 30, 1)
    whole = _digest(tmp_path)
    (tmp_path / "X_train_update.csv").unlink()
    (tmp_path / "images" / "image_train" / "stray.jpg").touch()

    assert make_sample(tmp_path, 30, 1)
    assert whole == _digest(tmp_path)


def test_other_files_are_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "X_train_update.csv").write_text("mine")

    with pytest.raises(CatalogueError, match=r"not empty.*X_train_update.csv"):
        make_sample(tmp_path, 30, 1)
    assert "mine" == (tmp_path / "X_train_update.csv").read_text()


@pytest.mark.parametrize(("products", "seed"), [(26, 1), (-1, 1), (30, -1)])
def test_invalid_arguments_are_refused(tmp_path: Path, products: int, seed: int) -> None:
    with pytest.raises(CatalogueError, match="at least 27 products"):
        make_sample(tmp_path, products, seed)
