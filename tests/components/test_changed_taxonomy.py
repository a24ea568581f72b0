"""Tests of the steps that read a catalogue and its corrections through the changes of the taxonomy."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from components.merge_corrections import step as merge_corrections
from components.prepare_catalogue import step as prepare_catalogue
from components.shared.cache_key import cache_key
from product_classifier.errors import CatalogueError
from product_classifier.feedback.records import ProductContent
from product_classifier.feedback.trust import Label, product_key
from product_classifier.retraining import write_snapshot
from product_classifier.store import open_store
from product_classifier.stored_taxonomy.change_store import IN_SERVICE_KEY, apply_change_file
from product_classifier.taxonomy import Category, Taxonomy
from product_classifier.taxonomy.change_file import parse_change_file
from product_classifier.taxonomy.folder import FOLDER, read_taxonomy, to_bytes
from tests.product_classifier.stored_taxonomy.test_change_store import NOW

BASE = Taxonomy((Category("cups"), Category("mugs"), Category("fax"), Category("toys")), minimum_products=5)
CHANGES = [
    {"do": "add", "code": "drones"},
    {"do": "merge", "codes": ["mugs"], "into": "cups"},
    {"do": "retire", "code": "fax"},
]
ROWS = [(f"{code} numero {word}", code) for code in ("cups", "mugs", "fax", "toys") for word in "abcdef"]


class Catalogue:
    """A catalogue in a folder, and a store with the taxonomy in service and a change."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.url = folder, f"file://{folder}/store"
        self.store = open_store(self.url, create=True)
        self.store.put(IN_SERVICE_KEY, to_bytes(BASE))
        self.write(ROWS)

    def write(self, rows: list[tuple[str, str]]) -> None:
        raw = self.folder / "raw"
        raw.mkdir(exist_ok=True)
        (raw / "catalogue.yaml").write_text("products: ['*.csv']\ncolumns: {designation: title, category: category}\n")
        pd.DataFrame(rows, columns=["title", "category"]).to_csv(raw / "products.csv", index=False)

    def apply(self, *changes: dict[str, Any], version: int = 1) -> None:
        document = {"from": version, "to": version + 1, "changes": list(changes)}
        file = parse_change_file(json.dumps(document).encode(), "change.json")
        apply_change_file(self.store, file, actor="ada", now=NOW, corrections={})

    def prepare(self) -> pd.DataFrame:
        paths = [self.folder / name for name in ("catalogue.parquet", "rejects.csv", "report.json")]
        prepare_catalogue.run(
            self.folder / "raw",
            *paths,
            unlabelled=self.folder / "unlabelled.parquet",
            taxonomy=self.folder / FOLDER,
            store=self.url,
        )
        return pd.read_parquet(paths[0])

    @property
    def taxonomy(self) -> Taxonomy:
        return read_taxonomy(self.folder / FOLDER)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(tmp_path)


def test_a_catalogue_is_read_in_the_newest_version(catalogue: Catalogue) -> None:
    before, key = catalogue.prepare(), cache_key(catalogue.url)
    catalogue.apply(*CHANGES)

    after = catalogue.prepare()

    assert dict(before["code"].value_counts()) == {"cups": 6, "mugs": 6, "fax": 6, "toys": 6}
    assert dict(after["code"].value_counts()) == {"cups": 12, "toys": 6}
    assert len(pd.read_parquet(catalogue.folder / "unlabelled.parquet")) == 6
    assert catalogue.taxonomy.version == 2
    assert {"drones", "mugs"} & {category.code for category in catalogue.taxonomy} == {"drones"}
    assert cache_key(catalogue.url) != key


def test_codes_of_both_versions_may_be_in_one_catalogue(catalogue: Catalogue) -> None:
    catalogue.apply(*CHANGES)
    catalogue.write([*ROWS, *[(f"drone numero {word}", "drones") for word in "abcdef"]])

    assert dict(catalogue.prepare()["code"].value_counts()) == {"cups": 12, "toys": 6, "drones": 6}


def test_a_code_of_no_version_is_one_error_with_its_place(catalogue: Catalogue) -> None:
    catalogue.apply(*CHANGES)
    catalogue.write([*ROWS, ("robot", "robots")])

    with pytest.raises(CatalogueError, match=r"products\.csv line 26: .*'robots'.*add the category by a change file"):
        catalogue.prepare()


def merged(catalogue: Catalogue, *corrections: tuple[str, str, int | None]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Merge corrections (title, code, version of the taxonomy) into the whole catalogue."""
    empty = catalogue.prepare().iloc[:0]
    sides = {side: catalogue.folder / f"{side}.parquet" for side in ("validation", "test", "unseen")}
    for path in sides.values():
        empty.to_parquet(path)
    labels = []
    for number, (title, code, version) in enumerate(corrections):
        product = ProductContent(designation=title)
        labels.append(Label(product_key(product), product, code, f"f{number}", NOW, "trusted", version))
    merge_corrections.run(
        catalogue.folder / "catalogue.parquet",
        **sides,
        merged=catalogue.folder / "merged.parquet",
        calibration=catalogue.folder / "calibration.parquet",
        answerable=catalogue.folder / "answerable",
        report=catalogue.folder / "merged.json",
        taxonomy=catalogue.taxonomy,
        store=catalogue.url,
        snapshot=write_snapshot(catalogue.store, labels),
    )
    report = json.loads((catalogue.folder / "merged.json").read_text())
    return pd.read_parquet(catalogue.folder / "merged.parquet"), report


def test_a_category_with_corrections_alone_is_answerable_once_there_are_enough(catalogue: Catalogue) -> None:
    catalogue.apply(*CHANGES)

    _, _ = merged(catalogue, *[(f"drone volant {word}", "drones", 2) for word in "abcd"])
    assert read_taxonomy(catalogue.folder / "answerable").codes == ("cups", "toys")
    found, _ = merged(catalogue, *[(f"drone volant {word}", "drones", 2) for word in "abcde"])

    assert read_taxonomy(catalogue.folder / "answerable").codes == ("cups", "toys", "drones")
    assert (found["code"] == "drones").sum() == 5


def test_corrections_of_earlier_versions_are_read_through_the_changes(catalogue: Catalogue) -> None:
    catalogue.apply(*CHANGES)

    found, report = merged(catalogue, ("grande tasse", "mugs", None), ("vieux fax", "fax", None))

    assert list(found["code"][found["designation"] == "grande tasse"]) == ["cups"]
    assert [one["reason"] for one in report["skipped"]] == [
        "category code 'fax' is retired or split, and no category has taken its place"
    ]


def test_a_change_applied_after_the_catalogue_was_read_waits_for_the_next_run(catalogue: Catalogue) -> None:
    catalogue.apply(*CHANGES)
    catalogue.prepare()
    frame, _ = merged(catalogue)
    catalogue.apply({"do": "merge", "codes": ["toys"], "into": "cups"}, version=2)

    corrected = merge_corrections.read_state(catalogue.store).until(2)

    assert corrected.newest.version == 2
    assert corrected.read("toys", None).code == "toys"
    assert set(frame["code"]) == {"cups", "toys"}
