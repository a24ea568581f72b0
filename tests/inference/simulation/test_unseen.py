"""Selection of products and lookup of their photos."""

import shutil
from collections import defaultdict
from pathlib import Path

import pandas as pd
import pytest

from inference.simulation import unseen as module
from inference.simulation.unseen import UnseenCatalogue, UnseenProduct, select
from product_classifier.catalogue.content_keys import content_keys
from product_classifier.errors import CatalogueError
from tests.support.fakes import FakeStore

COLUMNS = ("product_id", "designation", "description", "image_path", "code", "image_sha256")


@pytest.fixture(scope="module")
def products(splits: Path) -> tuple[UnseenProduct, ...]:
    return UnseenCatalogue(str(splits.parent)).products()


def table(folder: Path, *rows: tuple[object, ...]) -> str:
    (folder / "splits").mkdir()
    pd.DataFrame(rows, columns=list(COLUMNS)).to_parquet(folder / module.TABLE)
    return str(folder)


def test_the_halves_share_neither_text_nor_photo(products: tuple[UnseenProduct, ...]) -> None:
    keys = defaultdict(set)
    for product in products:
        keys[product.half].update(content_keys(product.designation, product.description, product.image_sha256))

    assert set() == keys["a"] & keys["b"]
    assert min(len(keys["a"]), len(keys["b"])) > len(products) / 4


def test_near_duplicates_are_in_one_half_and_a_link_between_the_halves_is_in_none(tmp_path: Path) -> None:
    titles = [f"Chemise bleue numéro {number}" for number in range(8)]
    rows = [(n, title, "", f"{n}.jpg", 10, f"{n:064}") for n, title in enumerate(titles)]
    first = UnseenCatalogue(table(tmp_path, *rows)).products()
    one, other = (next(product for product in first if product.half == half) for half in "ab")
    copies = [
        (100, one.designation.upper(), "", "", "10", ""),
        (101, "Tout autre titre ici", "", one.photo, "10", one.image_sha256),
        (102, one.designation, "", other.photo, "10", other.image_sha256),
    ]
    shutil.rmtree(tmp_path / "splits")
    rows = [(p.product_id, p.designation, "", p.photo, p.code, p.image_sha256) for p in first]
    catalogue = UnseenCatalogue(table(tmp_path, *rows, *copies))
    found = {product.product_id: product.half for product in catalogue.products()}

    assert ["a", "a", ""] == [found[number] for number in (100, 101, 102)]
    assert {product.product_id: product.half for product in first}.items() <= found.items()


@pytest.mark.parametrize("half", ["", "a", "b"])
def test_every_product_is_selected_once_unless_more_are_requested(
    products: tuple[UnseenProduct, ...], half: str
) -> None:
    mine = {product.product_id for product in products if not half or product.half == half}
    all_of_them = select(products, n=0, half=half, seed=1)
    more = select(products, n=len(mine) + 3, half=half, seed=1)

    assert sorted(mine) == sorted(product.product_id for product in all_of_them)
    assert all_of_them == more[: len(mine)]
    assert 3 == len(more) - len({product.product_id for product in more})


def test_the_order_depends_on_the_seed(products: tuple[UnseenProduct, ...]) -> None:
    assert select(products, n=20, half="", seed=1) == select(products, n=20, half="", seed=1)
    assert select(products, n=20, half="", seed=1) != select(products, n=20, half="", seed=2)


def test_products_of_unknown_categories_or_without_content_are_left_out(tmp_path: Path) -> None:
    rows = [(1, "Chemise", "", "", 10, ""), (2, "Chemise", "", "", 11, ""), (3, " ", "", "", 10, "")]
    catalogue = UnseenCatalogue(table(tmp_path, *rows))

    assert [1] == [product.product_id for product in catalogue.products()]


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [
        ("images/image_train/1.jpg", "raw/images/image_train/1.jpg"),
        ("images/images/image_train/1.jpg", "raw/images/images/image_train/1.jpg"),
        ("1.jpg", "raw/images/1.jpg"),
        ("{data}/raw/images/image_train/1.jpg", "raw/images/image_train/1.jpg"),
        ("/elsewhere/images/raw/images/image_train/1.jpg", "raw/images/image_train/1.jpg"),
        ("/tmp/raw-0a1b/images/images/image_train/1.jpg", "raw/images/images/image_train/1.jpg"),
        ("/elsewhere/image_train/1.jpg", "raw/image_train/1.jpg"),
        ("data/raw/images/1.jpg", "raw/images/1.jpg"),
    ],
)
@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_photos_are_found_below_the_data_folder(
    tmp_path: Path, place: str, recorded: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = (1, "Chemise", "", recorded.format(data=tmp_path), 10, "0" * 64)
    where, store = table(tmp_path, row), FakeStore()
    (tmp_path / expected).parent.mkdir(parents=True)
    (tmp_path / expected).write_bytes(b"photo")
    if place == "bucket":
        monkeypatch.setattr(module, "open_store", {"s3://bucket": store}.__getitem__)
        for name in (module.TABLE, expected):
            store.put(f"prefix/data/{name}", (tmp_path / name).read_bytes())
        where = "s3://bucket/prefix/data"
    unseen = UnseenCatalogue(where)

    assert [b"photo"] == list(unseen.photos(unseen.products()).values())


def test_missing_data_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "open_store", lambda _: FakeStore())
    for where in (str(tmp_path), "s3://bucket/data"):
        with pytest.raises(CatalogueError, match=f"splits/unseen.parquet: missing in '{where}'"):
            UnseenCatalogue(where).products()
    row = (1, "Chemise", "", "raw/images/missing.jpg", 10, "0" * 64)
    incomplete = UnseenCatalogue(table(tmp_path, row))
    with pytest.raises(CatalogueError, match=r"photo 'raw/images/missing\.jpg': missing"):
        incomplete.photos(incomplete.products())


@pytest.mark.parametrize("content", [b"", b"PAR1 but not really PAR1", b"product_id,code\n1,10\n"])
def test_a_file_that_is_not_a_table_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "splits").mkdir()
    (tmp_path / module.TABLE).write_bytes(content)
    with pytest.raises(CatalogueError, match="not a table of products"):
        UnseenCatalogue(str(tmp_path)).products()


def test_an_empty_half_is_refused() -> None:
    with pytest.raises(CatalogueError, match="half 'a': has none of 0 unseen products"):
        select([], n=1, half="a", seed=1)
