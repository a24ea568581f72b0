import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from components.merge_corrections import step
from components.split_catalogue import step as split_catalogue
from components.train_image.labelled_photos import read_labelled_photos
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.catalogue.splits import SPLITS
from product_classifier.errors import InvalidInput
from product_classifier.feedback.records import ProductContent, image_key
from product_classifier.feedback.trust import Label, product_key
from product_classifier.retraining import write_snapshot
from product_classifier.store import open_store
from product_classifier.taxonomy import Category, Codes, Taxonomy
from product_classifier.taxonomy.folder import read_taxonomy
from tests.support.fixtures_data import jpeg

NOW = datetime(2030, 1, 1, tzinfo=UTC)
COLUMNS = ["product_id", "designation", "description", "image_path", "code", "line", "image_sha256"]


class Corrections:
    """A catalogue of 200 products with code 10, split, and trusted corrections in a store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"file://{folder}/store"
        self.store = open_store(self.url, create=True)
        self.labels: list[Label] = []
        rows = [(n, f"un titre parmi d'autres {n}", "", "", 10, n, "") for n in range(200)]
        pd.DataFrame(rows, columns=COLUMNS).to_parquet(folder / "catalogue.parquet")
        self.sides = {side: folder / f"{side}.parquet" for side in SPLITS}
        split_catalogue.run(folder / "catalogue.parquet", **self.sides, report=folder / "splits.json")

    def correct(self, designation: str = "", photo: bytes = b"", code: str = "40") -> str:
        """Add a trusted correction; return the key of its photo."""
        digest = hashlib.sha256(photo).hexdigest() if photo else None
        product = ProductContent(designation=designation, image_sha256=digest)
        feedback_id = f"f{len(self.labels)}"
        self.labels.append(Label(product_key(product), product, code, feedback_id, NOW, "trusted"))
        if digest:
            self.store.put(image_key(digest), photo)
        return image_key(digest) if digest else ""

    def add_malformed_key(self, designation: str) -> None:
        """Add a correction of which no row can be made."""
        label = Label("not a hash", ProductContent(designation=designation), 40, f"f{len(self.labels)}", NOW, "trusted")
        self.labels.append(label)

    def merge(self, snapshot: str | None = None) -> int:
        snapshot = write_snapshot(self.store, self.labels) if snapshot is None else snapshot
        return step.run(
            **self.sides,
            merged=self.folder / "merged.parquet",
            calibration=self.folder / "calibration.parquet",
            answerable=self.folder / "answerable",
            report=self.folder / "report.json",
            taxonomy=self.taxonomy,
            store=self.url,
            snapshot=snapshot,
        )

    @property
    def taxonomy(self) -> Taxonomy:
        return CHALLENGE

    @property
    def merged(self) -> pd.DataFrame:
        return pd.read_parquet(self.folder / "merged.parquet")

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "report.json").read_text())
        return found


@pytest.fixture
def corrections(tmp_path: Path) -> Corrections:
    return Corrections(tmp_path)


def test_without_a_snapshot_train_passes_unchanged_and_the_store_is_not_read(corrections: Corrections) -> None:
    corrections.url = "file:///no/such/folder"

    count = corrections.merge(snapshot="")

    train = corrections.sides["train"]
    assert train.read_bytes() == (corrections.folder / "merged.parquet").read_bytes()
    assert len(pd.read_parquet(train)) == count == corrections.report["products"]
    assert {0} == set(corrections.report["corrections"].values())


def test_corrections_are_added_with_their_photos(corrections: Corrections) -> None:
    corrections.correct("une piscine bleue", jpeg(10))
    corrections.correct("un livre ancien")
    corrections.correct(photo=jpeg(20))

    before = len(pd.read_parquet(corrections.sides["train"]))

    assert before + 3 == corrections.merge()
    added = corrections.merged[corrections.merged["product_id"] < 0]
    assert {jpeg(10), jpeg(20), None} == set(added["photo"])
    assert [] == corrections.report["skipped"]
    assert 3 == corrections.report["corrections"]["added"]
    counts = corrections.merged["code"].value_counts().to_dict()
    assert {str(code): count for code, count in counts.items()} == corrections.report["products_by_code"]


Damage = Callable[[Corrections, str], object]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda corrections, _: corrections.store.delete(corrections.correct(photo=jpeg(11))), "is missing"),
        (
            lambda corrections, _: corrections.store.put(corrections.correct(photo=jpeg(11)), b"x"),
            "does not match its SHA",
        ),
        (lambda corrections, _: corrections.correct(photo=jpeg(12)[:200]), "cannot be decoded"),
        (lambda corrections, _: corrections.correct(designation="…"), "neither a word"),
        (lambda corrections, _: corrections.correct("un titre parmi d'autres 1", code="9999"), "category code '9999'"),
        (lambda corrections, _: corrections.correct("<br/>&nbsp;___"), "neither a word"),
        (lambda corrections, _: corrections.add_malformed_key("un bon titre"), "cannot be prepared: ValueError"),
    ],
    ids=["missing photo", "altered photo", "truncated photo", "no word", "unknown code", "only markup", "bad key"],
)
def test_a_damaged_correction_is_skipped_and_reported(corrections: Corrections, damage: Damage, reason: str) -> None:
    corrections.correct("un livre ancien")
    key = corrections.correct("une piscine bleue", jpeg(10))
    damage(corrections, key)

    corrections.merge()

    counts = corrections.report["corrections"]
    assert (len(corrections.labels) - 1, 1) == (counts["added"], counts["skipped"])
    (skipped,) = corrections.report["skipped"]
    assert reason in skipped["reason"]


@pytest.mark.parametrize(
    "text",
    [
        "mot &#" + "9" * 4301,
        "mot &#x110000;&#xD800;",
        "mot" + "\u0301" * 49_000,
        "mot " + "<" * 9_000,
        "mot \u202e\x85",
    ],
    ids=["huge reference", "no character", "marks", "open tags", "invisible"],
)
def test_a_correction_with_any_text_is_merged(corrections: Corrections, text: str) -> None:
    corrections.correct(text)

    corrections.merge()

    assert 1 == corrections.report["corrections"]["added"]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda corrections, key: corrections.store.delete(key), "is missing"),
        (lambda corrections, key: corrections.store.put(key, jpeg(11)), "does not match its SHA-256"),
        (lambda corrections, _: corrections.correct("autre livre", jpeg(12)[:200]), "cannot be decoded"),
    ],
    ids=["missing", "altered", "truncated"],
)
def test_a_damaged_photo_costs_the_photo_and_not_the_correction(
    corrections: Corrections, damage: Damage, reason: str
) -> None:
    corrections.correct("un livre ancien")
    damage(corrections, corrections.correct("une piscine bleue", jpeg(10)))

    corrections.merge()

    counts = corrections.report["corrections"]
    assert (len(corrections.labels), 0) == (counts["added"], counts["skipped"])
    assert [reason in one["reason"] for one in corrections.report["dropped_photos"]] == [True]


def test_bytes_behind_a_photo_are_not_trained_on(corrections: Corrections) -> None:
    corrections.correct(photo=jpeg(10) + b"PK\x03\x04" * 9)

    corrections.merge()

    (added,) = corrections.merged[corrections.merged["product_id"] < 0].itertuples()
    assert (jpeg(10), hashlib.sha256(jpeg(10)).hexdigest()) == (added.photo, added.image_sha256)


def test_train_passes_unchanged_if_every_correction_is_damaged(corrections: Corrections) -> None:
    corrections.store.delete(corrections.correct(photo=jpeg(10)))

    corrections.merge()

    assert corrections.sides["train"].read_bytes() == (corrections.folder / "merged.parquet").read_bytes()
    assert 1 == corrections.report["corrections"]["skipped"]


def test_an_altered_snapshot_is_rejected(corrections: Corrections) -> None:
    snapshot = write_snapshot(corrections.store, corrections.labels)
    corrections.store.put(f"datasets/{snapshot}/manifest.json", b'{"format":1,"corrections":[]} ')

    with pytest.raises(InvalidInput, match=snapshot):
        corrections.merge(snapshot)


def test_corrections_change_train_and_no_other_side(corrections: Corrections) -> None:
    before = {side: path.read_bytes() for side, path in corrections.sides.items()}
    frames = {side: pd.read_parquet(path) for side, path in corrections.sides.items()}
    for number in range(200):
        corrections.correct(f"un titre parmi d'autres {number}")
    corrections.correct("un tout nouveau produit", jpeg(10))

    corrections.merge()

    counts = corrections.report["corrections"]
    assert before == {side: path.read_bytes() for side, path in corrections.sides.items()}
    assert {"40"} == set(corrections.merged["code"])
    assert len(frames["validation"]) + len(frames["test"]) == counts["held_out"]
    assert len(frames["train"]) == counts["relabelled"]
    assert len(frames["unseen"]) + 1 == counts["added"]
    held_out = {*frames["validation"]["designation"], *frames["test"]["designation"]}
    assert set() == held_out & set(corrections.merged["designation"])
    merged, validation = corrections.folder / "merged.parquet", corrections.folder / "none.parquet"
    corrections.merged.iloc[:0].to_parquet(validation)
    photos = read_labelled_photos(merged, validation, corrections.folder, CHALLENGE.codes, seed=27)
    assert [jpeg(10)] == [photos.read(row) for row in range(len(photos))]


def test_equal_corrections_give_equal_bytes_and_other_corrections_others(corrections: Corrections) -> None:
    corrections.correct("une piscine bleue", jpeg(10))
    contents = []
    for _ in range(2):
        corrections.merge()
        contents.append((corrections.folder / "merged.parquet").read_bytes())
    corrections.correct("un livre ancien")
    corrections.merge()

    assert contents[0] == contents[1] != (corrections.folder / "merged.parquet").read_bytes()


SHELVES = Taxonomy(
    tuple(
        Category(code, parent=parent)
        for code, parent in [("a", None), ("b", None), ("b > x", "b"), ("b > y", "b"), ("c", None)]
    ),
    minimum_products=3,
)


class SmallCategories(Corrections):
    """Splits with the given codes in each, and corrections of them."""

    def __init__(self, folder: Path, **codes: str) -> None:
        self.folder, self.url, self.labels = folder, f"file://{folder}/store", []
        self.store = open_store(self.url, create=True)
        self.sides = {side: folder / f"{side}.parquet" for side in SPLITS}
        for start, (side, path) in enumerate(self.sides.items()):
            given = codes.get(side, "").split(",") if codes.get(side) else []
            rows = [(100 * start + n, f"{side} {n}", "", "", code, n + 1, "") for n, code in enumerate(given)]
            pd.DataFrame(rows, columns=COLUMNS).astype({"code": str}).to_parquet(path)

    def merge(self, snapshot: str | None = None) -> int:
        return super().merge(write_snapshot(self.store, self.labels) if self.labels else "")

    @property
    def taxonomy(self) -> Taxonomy:
        return SHELVES

    def codes(self, name: str) -> list[str]:
        return pd.read_parquet(self.folder / name)["code"].to_list()

    @property
    def answered(self) -> Codes:
        return read_taxonomy(self.folder / "answerable").codes


def test_a_category_is_answerable_by_the_products_of_all_splits(tmp_path: Path) -> None:
    found = SmallCategories(tmp_path, train="a,a,b > x,b", validation="a,b > x", test="b > x", unseen="b > y,b > y")
    found.merge()

    assert ("a", "b > x") == found.answered
    assert ["a", "a", "b > x", "b"] == found.codes("merged.parquet")


def test_products_of_small_categories_have_the_code_above_in_both_tables(tmp_path: Path) -> None:
    found = SmallCategories(tmp_path, train="a,a,a,b > x,c", validation="b > y,b,a", test="b > x", unseen="b > y")
    found.merge()

    assert ("a", "b") == found.answered
    assert ["a", "a", "a", "b", "c"] == found.codes("merged.parquet")
    assert ["b", "b", "a"] == found.codes("calibration.parquet")
    assert {"b > x": "b", "b > y": "b", "c": None} == found.report["learned_elsewhere"]


def test_a_category_that_no_product_to_train_on_has_is_not_answerable(tmp_path: Path) -> None:
    found = SmallCategories(tmp_path, train="a,a,a,b,b,b", test="c,c", unseen="c,c")
    found.merge()

    assert ("a", "b") == found.answered


@pytest.mark.parametrize(("title", "answered"), [("unseen 0", ("a", "b")), ("another", ("a", "b", "c"))])
def test_a_corrected_product_of_unseen_counts_once(tmp_path: Path, title: str, answered: Codes) -> None:
    found = SmallCategories(tmp_path, train="a,a,a,b,b,b,c", unseen="c")
    found.correct(title, code="c")
    found.merge()

    assert answered == found.answered
