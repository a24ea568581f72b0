"""Identities that an upgrade must not change: they decide splits, comparability and due runs.

The expected values were computed with commit 465d588.
"""

from hashlib import sha256
from pathlib import Path

import pandas as pd
import pytest

from components.shared.hold_out import hold_out_digest
from components.split_catalogue import step as split_catalogue
from product_classifier.catalogue.catalogue_reader import data_revision
from product_classifier.catalogue.challenge.sample.offers import offer, season_start
from product_classifier.catalogue.content_keys import content_keys
from product_classifier.catalogue.product_table import read_products
from product_classifier.catalogue.splits import SPLITS
from product_classifier.feedback.records import ProductContent
from product_classifier.feedback.trust import product_key
from product_classifier.text.mojibake import repair

COLUMNS = ["product_id", "designation", "description", "image_path", "code", "line", "image_sha256"]
TITLES = pd.DataFrame([(n, f"un titre parmi d'autres {n}", "", "", 10, n + 2, "") for n in range(24)], columns=COLUMNS)
PRODUCTS = [
    ("Piscine ronde Ø 3,05 m", "<p>Avec &eacute;chelle</p>", "a" * 64),
    ("Puzzle", "1000 pièces", ""),
    ("", "", "b" * 64),
    ("Réf. 20394857 Œuvre complète de poche", "", ""),
]


@pytest.mark.parametrize("image_path", ["", "images/a.jpg", "/data/raw/images/a.jpg"])
def test_the_data_revision_and_the_digest_of_the_hold_out_are_unchanged(tmp_path: Path, image_path: str) -> None:
    products = TITLES.assign(image_path=image_path)
    products.to_parquet(tmp_path / "test.parquet")

    assert "3d10e1adfcf3647fd1211319220c1bc6b801d4f9d27b17fd772ec30fdede6a44" == data_revision(
        read_products(tmp_path / "test.parquet")
    )
    assert "44124e3e5b410c99" == hold_out_digest(tmp_path / "test.parquet")


def test_no_product_moves_to_another_side(tmp_path: Path) -> None:
    TITLES.to_parquet(tmp_path / "catalogue.parquet")
    sides = {side: tmp_path / f"{side}.parquet" for side in SPLITS}

    split_catalogue.run(tmp_path / "catalogue.parquet", **sides, report=tmp_path / "report.json")

    found = {product: side for side in SPLITS for product in pd.read_parquet(sides[side])["product_id"]}
    initials = {"t": "train", "v": "validation", "e": "test", "u": "unseen"}
    assert [initials[letter] for letter in "ttetttutttetuvttuttttttt"] == [found[number] for number in range(24)]


@pytest.mark.parametrize(
    ("product", "text_key"),
    [
        (PRODUCTS[0], "82cdc39c52b85299def62115cfcd251bf8a5fe620605c1373645486254b18a4d"),
        (PRODUCTS[1], "d04ab2c02479ac662aae33bd5d9384f51df03bbdfa4e1ea15976ba07fb9ab2eb"),
        (PRODUCTS[2], ""),
        (PRODUCTS[3], "fe195730df1fe8243544e9d35d327b2abc55c5e0c7c7afb126696f2cf1ae499f"),
    ],
)
def test_content_keys_are_unchanged(product: tuple[str, str, str], text_key: str) -> None:
    expected = [f"text:{text_key}"] * bool(text_key) + [f"photo:{product[2]}"] * bool(product[2])

    assert expected == list(content_keys(*product))


@pytest.mark.parametrize(
    ("product", "key"),
    [
        (PRODUCTS[0], "6de7ded4b4e69f297d2f32a4b286a4b7b96262d3f0393d2068b2d2fbeb4f211c"),
        (PRODUCTS[1], "f09149f9ca23ad4b24a7398c672f70b13afa24a651ced2325206cf65e575a489"),
        (PRODUCTS[2], "8459e73a9b0913a8b5898b06eb7ff75072e7616e426f92e71bd5fa36fc3b2c5f"),
    ],
)
def test_product_keys_are_unchanged_so_an_upgrade_makes_no_run_due(product: tuple[str, str, str], key: str) -> None:
    """The watermark stores which product keys with which category were used."""
    designation, description, digest = product
    content = ProductContent(designation=designation, description=description, image_sha256=digest or None)

    assert key == product_key(content)


def test_the_keys_of_the_sample_are_unchanged() -> None:
    """Those of the products decide the splits, those of the texts as users send them are in labels."""
    contents, labels = sha256(), sha256()
    for number in range(1500):
        made = offer(27, number, season_start(1500))
        title, description = repair(made.title), repair(made.description)
        if title or description:
            contents.update("".join(content_keys(title, description)).encode())
            product = ProductContent(designation=made.title, description=made.description)
            labels.update(product_key(product).encode())

    assert "dfc01d57cef9fbe7a562f1cf94ab1a52a0412e96eabae99bd55bbea96b20e2f0" == contents.hexdigest()
    assert "237835e95f15a79430ffe17fb48fa45b920551a5481fc8ea6366bbe3a0fbcd9a" == labels.hexdigest()
