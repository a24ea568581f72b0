"""Which products are replayed, and where their photos are found."""

import shutil
from collections import defaultdict
from pathlib import Path

import pandas as pd
import pytest

from inference.simulation import unseen as module
from inference.simulation.unseen import Product, Unseen, choose
from product_classifier.catalogue.splits import content_keys
from product_classifier.errors import CatalogueError
from tests.support.fakes import FakeStore

COLUMNS = ("product_id", "designation", "description", "image_path", "code", "image_sha256")


@pytest.fixture(scope="module")
def products(splits: Path) -> tuple[Product, ...]:
    return Unseen(str(splits.parent)).products()


def table(folder: Path, *rows: tuple[object, ...]) -> str:
    (folder / "splits").mkdir()
    pd.DataFrame(rows, columns=list(COLUMNS)).to_parquet(folder / module.TABLE)
    return str(folder)


def test_both_halves_are_there_and_share_neither_text_nor_photo(products: tuple[Product, ...]) -> None:
    keys = defaultdict(set)
    for product in products:
        keys[product.half].update(content_keys(product.designation, product.description, product.image_sha256))

    assert set() == keys["a"] & keys["b"]
    assert min(len(keys["a"]), len(keys["b"])) > len(products) / 4


def test_near_copies_are_in_one_half_and_what_joins_both_halves_is_in_none(tmp_path: Path) -> None:
    titles = [f"Chemise bleue numéro {number}" for number in range(8)]
    first = Unseen(
        table(tmp_path, *((n, title, "", f"{n}.jpg", 10, f"{n:064}") for n, title in enumerate(titles)))
    ).products()
    one, other = (next(product for product in first if product.half == half) for half in "ab")
    copies = [
        (100, one.designation.upper(), "", "", 10, ""),
        (101, "Tout autre titre ici", "", one.photo, 10, one.image_sha256),
        (102, one.designation, "", other.photo, 10, other.image_sha256),
    ]
    shutil.rmtree(tmp_path / "splits")
    rows = [(p.product_id, p.designation, "", p.photo, p.code, p.image_sha256) for p in first]
    found = {product.product_id: product.half for product in Unseen(table(tmp_path, *rows, *copies)).products()}

    assert ["a", "a", ""] == [found[number] for number in (100, 101, 102)]
    assert {product.product_id: product.half for product in first}.items() <= found.items()


@pytest.mark.parametrize("half", ["", "a", "b"])
def test_every_product_comes_once_unless_more_are_asked_for(products: tuple[Product, ...], half: str) -> None:
    mine = {product.product_id for product in products if not half or product.half == half}
    all_of_them = choose(products, n=0, half=half, seed=1)
    more = choose(products, n=len(mine) + 3, half=half, seed=1)

    assert sorted(mine) == sorted(product.product_id for product in all_of_them)
    assert all_of_them == more[: len(mine)]
    assert 3 == len(more) - len({product.product_id for product in more})


def test_the_seed_gives_the_order(products: tuple[Product, ...]) -> None:
    assert choose(products, n=20, half="", seed=1) == choose(products, n=20, half="", seed=1)
    assert choose(products, n=20, half="", seed=1) != choose(products, n=20, half="", seed=2)


def test_what_nobody_could_judge_is_left_out(tmp_path: Path) -> None:
    rows = [(1, "Chemise", "", "", 10, ""), (2, "Chemise", "", "", 11, ""), (3, " ", "", "", 10, "")]

    assert [1] == [product.product_id for product in Unseen(table(tmp_path, *rows)).products()]


@pytest.mark.parametrize(
    ("made_at", "lies_at"),
    [
        ("{data}/raw/images/image_train/1.jpg", "raw/images/image_train/1.jpg"),
        ("/elsewhere/images/raw/images/image_train/1.jpg", "raw/images/image_train/1.jpg"),
        ("/tmp/raw-0a1b/images/images/image_train/1.jpg", "raw/images/images/image_train/1.jpg"),
        ("/elsewhere/image_train/1.jpg", "raw/image_train/1.jpg"),
        ("data/raw/images/1.jpg", "raw/images/1.jpg"),
    ],
)
@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_photos_are_found_where_the_data_is_now(
    tmp_path: Path, place: str, made_at: str, lies_at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = (1, "Chemise", "", made_at.format(data=tmp_path), 10, "0" * 64)
    where, store = table(tmp_path, row), FakeStore()
    (tmp_path / lies_at).parent.mkdir(parents=True)
    (tmp_path / lies_at).write_bytes(b"photo")
    if place == "bucket":
        monkeypatch.setattr(module, "open_store", {"s3://bucket": store}.__getitem__)
        for name in (module.TABLE, lies_at):
            store.put(f"shop/data/{name}", (tmp_path / name).read_bytes())
        where = "s3://bucket/shop/data"
    unseen = Unseen(where)

    assert [b"photo"] == list(unseen.photos(unseen.products()).values())


def test_data_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "open_store", lambda _: FakeStore())
    for where in (str(tmp_path), "s3://bucket/data"):
        with pytest.raises(CatalogueError, match=f"there is no splits/unseen.parquet in '{where}'"):
            Unseen(where).products()
    gone = Unseen(table(tmp_path, (1, "Chemise", "", "raw/images/gone.jpg", 10, "0" * 64)))
    with pytest.raises(CatalogueError, match=r"photo 'raw/images/gone\.jpg' is not there"):
        gone.photos(gone.products())


@pytest.mark.parametrize("content", [b"", b"PAR1 but not really PAR1", b"product_id,code\n1,10\n"])
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "splits").mkdir()
    (tmp_path / module.TABLE).write_bytes(content)
    with pytest.raises(CatalogueError, match="is not a table of products"):
        Unseen(str(tmp_path)).products()


def test_a_half_nobody_is_in_is_refused() -> None:
    with pytest.raises(CatalogueError, match="none of 0 unseen products is in half 'a'"):
        choose([], n=1, half="a", seed=1)
