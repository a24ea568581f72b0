"""The proposal for a folder is right as it stands, for files as other shops export them."""

import csv
import io
import json
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from product_classifier.catalogue.inspection.catalogue_report import inspect_catalogue
from product_classifier.catalogue.inspection.proposal import propose_layout
from product_classifier.catalogue.layout import CategoryCell
from product_classifier.catalogue.layout_file import read_layout
from product_classifier.catalogue.layout_source import LayoutSource
from product_classifier.errors import CatalogueError

NOUNS = ["kettle", "phone", "chair", "lamp", "jacket", "drill", "cable", "mug", "desk", "bicycle", "camera", "speaker"]
ADJECTIVES = ["red", "small", "steel", "wireless", "oak", "cotton", "modern", "light", "large", "outdoor"]
PATHS = [
    ["Kitchen", "Kettles"], ["Electronics", "Phones"], ["Furniture", "Chairs"], ["Furniture", "Lamps"],
    ["Fashion", "Jackets"], ["Tools", "Drills"], ["Electronics", "Cables"], ["Kitchen", "Mugs"],
    ["Furniture", "Desks"], ["Sport", "Bicycles"], ["Electronics", "Cameras"], ["Electronics", "Speakers"],
]  # fmt: skip


def products(count: int = 240) -> list[dict[str, Any]]:
    """Return products of twelve categories."""
    choose = random.Random(3)
    found = []
    for number in range(count):
        kind = number % len(NOUNS)
        title = f"{' '.join(choose.sample(ADJECTIVES, 3)).title()} {NOUNS[kind]} with number {choose.randrange(999)}"
        text = (
            f"This is the {title} for the home and the garden. "
            + "It is made of {} and of {}. ".format(*choose.sample(ADJECTIVES, 2)) * 3
        )
        found.append(
            {
                "sku": f"SKU{number:06}", "title": title, "text": text, "path": PATHS[kind],
                "brand": choose.choice(["Acme", "Globex", "Initech", "Umbrella"]), "code": f"{100 + kind:05}",
                "price": f"{choose.randrange(100, 9999) / 100}", "photo": f"{number}.jpg",
                "url": f"https://cdn.example/{number}.jpg?w=300", "group": number // 3,
            }
        )  # fmt: skip
    return found


def _csv(
    path: Path, rows: list[dict[str, Any]], delimiter: str = ",", encoding: str = "utf-8", header: bool = True
) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    if header:
        writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(text.getvalue().encode(encoding))


def google_feed(folder: Path) -> dict[str, Any]:
    rows = [
        {"id": one["sku"], "title": one["title"], "description": one["text"], "link": "https://shop.example/x",
         "image_link": one["url"], "price": one["price"] + " EUR", "availability": "in stock",
         "google_product_category": " > ".join(one["path"]), "brand": one["brand"], "item_group_id": one["group"]}
        for one in products()
    ]  # fmt: skip
    _csv(folder / "feed.tsv", rows, "\t")
    return {
        "id": "id", "designation": "title", "description": "description", "image": "image_link",
        "category": "google_product_category", "group": "item_group_id", "extra": ["brand"],
    }  # fmt: skip


def german_export(folder: Path) -> dict[str, Any]:
    rows = [
        {"Artikelnummer": one["sku"], "Bezeichnung": one["title"] + " für Küche und Haus", "Beschreibung": one["text"],
         "Kategorie": one["path"][1], "Preis": one["price"].replace(".", ","), "Marke": one["brand"]}
        for one in products()
    ]  # fmt: skip
    _csv(folder / "artikel.csv", rows, ";", "cp1252")
    return {
        "id": "Artikelnummer", "designation": "Bezeichnung", "description": "Beschreibung", "category": "Kategorie",
        "extra": ["Marke"],
    }  # fmt: skip


def json_lines(folder: Path) -> dict[str, Any]:
    lines = [
        json.dumps(
            {"asin": one["sku"], "categories": " / ".join(one["path"]), "title": one["title"], "imgs": [one["url"]]}
        )
        for one in products()
    ]
    (folder / "meta.jsonl").write_text("\n".join(lines))
    return {"id": "asin", "designation": "title", "category": "categories", "image": "imgs"}


def parquet_with_codes(folder: Path) -> dict[str, Any]:
    frame = pd.DataFrame(products())
    frame[["sku", "title", "text", "code", "photo", "price"]].rename(columns={"code": "category_code"}).to_parquet(
        folder / "products.parquet"
    )
    (folder / "Pictures").mkdir()
    for name in frame["photo"][:50]:
        (folder / "Pictures" / name).touch()
    return {"id": "sku", "designation": "title", "description": "text", "category": "category_code", "image": "photo"}


def two_files_with_labels(folder: Path) -> dict[str, Any]:
    rows = [{"product_id": one["sku"], "name": one["title"], "category_id": one["code"]} for one in products()]
    _csv(folder / "a.csv", rows[:120])
    _csv(folder / "b.csv", rows[120:])
    labels = [{"code": f"{100 + at:05}", "parent": "", "label_en": path[1]} for at, path in enumerate(PATHS)]
    _csv(folder / "categories.csv", labels)
    return {"id": "product_id", "designation": "name", "category": "category_id"}


def without_a_header(folder: Path) -> dict[str, Any]:
    rows = [{"0": one["sku"], "1": one["title"], "2": " > ".join(one["path"])} for one in products()]
    _csv(folder / "p.csv", rows, "|", header=False)
    return {"id": 0, "designation": 1, "category": 2}


def titles_with_code_paths(folder: Path) -> dict[str, Any]:
    rows = [{"0": one["title"], "1": f"{int(one['code']) % 4}>{one['code']}"} for one in products()]
    _csv(folder / "rdc.tsv", rows, "\t", header=False)
    return {"designation": 0, "category": 1}


CASES = [google_feed, german_export, json_lines, parquet_with_codes, two_files_with_labels, without_a_header,
         titles_with_code_paths]  # fmt: skip


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_the_proposal_names_the_right_columns_and_reads_every_product(tmp_path: Path, make: Any) -> None:
    expected = make(tmp_path)

    proposal = propose_layout(tmp_path)

    (tmp_path / "catalogue.yaml").write_text(proposal.yaml(), encoding="utf-8")
    layout = read_layout(tmp_path / "catalogue.yaml")
    assert layout == proposal.layout
    assert expected == layout.columns.model_dump(exclude_unset=True)
    report = inspect_catalogue(LayoutSource(tmp_path, layout))
    assert ("", 240, 0, 0) == (report.problem, report.products, report.rejected, report.unlabelled)
    assert 12 == len(report.taxonomy or ())


def test_a_later_file_is_read_as_the_inspected_one(tmp_path: Path) -> None:
    german_export(tmp_path)

    values = yaml.safe_load(propose_layout(tmp_path).yaml())

    assert (";", "cp1252") == (values["delimiter"], values["encoding"])


def test_a_level_is_proposed_at_which_categories_have_enough_products(tmp_path: Path) -> None:
    rows = [
        {"id": one["sku"], "name": one["title"], "category": " >> ".join([*one["path"], one["title"]])}
        for one in products()
    ]
    _csv(tmp_path / "p.csv", rows)

    layout = propose_layout(tmp_path).layout

    assert (" >> ", 2) == (layout.category.separator, layout.category.level)


@pytest.mark.parametrize(
    ("sizes", "minimum"),
    [
        ({"tea": 97, "mugs": 3}, 1),
        ({"tea": 98, "mugs": 2}, 5),
        ({"tea": 95, "mugs": 5}, 5),
        ({f"shelf {number}": 1 for number in range(1000)}, 1),
        ({f"shelf {number}": 1 for number in range(1001)}, 5),
        ({}, 5),
    ],
    ids=["small ones", "hardly any", "large enough", "the limit", "too many", "unlabelled"],
)
def test_a_small_catalogue_with_small_categories_answers_each(
    tmp_path: Path, sizes: dict[str, int], minimum: int
) -> None:
    titles_with_code_paths(tmp_path)

    proposal = propose_layout(tmp_path).for_sizes(sizes)

    assert minimum == proposal.layout.category.minimum_products
    (tmp_path / "catalogue.yaml").write_text(proposal.yaml(), encoding="utf-8")
    assert proposal.layout == read_layout(tmp_path / "catalogue.yaml")


def test_the_report_counts_what_is_missing_copied_and_contradicting(tmp_path: Path) -> None:
    rows = [{"id": one["sku"], "name": one["title"], "category": one["path"][0]} for one in products(60)]
    rows[10] |= {"category": ""}
    rows[11] |= {"name": ""}
    rows += [
        {"id": f"x{at}", "name": rows[at]["name"].upper(), "category": category}
        for at, category in enumerate(["Sport", "Electronics"])
    ]
    _csv(tmp_path / "p.csv", rows)

    report = inspect_catalogue(LayoutSource(tmp_path, propose_layout(tmp_path).layout))

    assert (60, 1, 1, 2, 1) == (
        report.products,
        report.unlabelled,
        report.rejected,
        report.near_copies,
        report.contradicting,
    )
    text = "\n".join(report.lines(CategoryCell()))
    assert "p.csv lines 2 and 62" in text
    assert "too small to measure well" in text


def test_a_folder_without_tables_or_categories_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "notes.doc").touch()
    with pytest.raises(CatalogueError, match=r"has no CSV, .* \(notes\.doc\); name the folder"):
        propose_layout(tmp_path)

    _csv(tmp_path / "p.csv", [{"id": one["sku"], "name": one["title"]} for one in products()])
    with pytest.raises(CatalogueError, match=r"p\.csv: no column looks like a category; write catalogue\.yaml"):
        propose_layout(tmp_path)
