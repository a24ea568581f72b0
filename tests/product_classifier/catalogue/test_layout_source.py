"""Catalogues with `catalogue.yaml`: what is read, and one error for each kind of bad input."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from product_classifier.catalogue.catalogue_rows import CatalogueRow, RejectedRow
from product_classifier.catalogue.layout import CatalogueLayout
from product_classifier.catalogue.layout_source import LayoutSource
from product_classifier.errors import CatalogueError
from product_classifier.taxonomy.tree import Taxonomy

COLUMNS = {"id": "id", "designation": "title", "category": "category"}
HEADER = ("id", "title", "category")


def table(rows: Sequence[Sequence[object]], header: Sequence[str] = HEADER) -> str:
    """Return CSV text."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows] if header else rows)
    return text.getvalue()


def offers(categories: Sequence[object], each: int = 6) -> list[tuple[object, ...]]:
    """Return rows with some products of each category."""
    return [
        (f"{at}-{number}", f"title {at} {number}", category)
        for at, category in enumerate(categories)
        for number in range(each)
    ]


class Folder:
    """A folder with files of products, read by a layout."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(
        self, files: Mapping[str, str | bytes], **values: Any
    ) -> tuple[list[CatalogueRow], list[RejectedRow], LayoutSource]:
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        layout = CatalogueLayout.model_validate({"products": ["p.csv"], "columns": COLUMNS} | values)
        source = LayoutSource(self.folder, layout)
        rows = list(source.rows())
        products = [row for row in rows if isinstance(row, CatalogueRow)]
        return products, [row for row in rows if isinstance(row, RejectedRow)], source

    def taxonomy(self, files: Mapping[str, str | bytes], **values: Any) -> Taxonomy:
        return self.read(files, **values)[2].taxonomy()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_codes_are_text_and_keep_their_zeros(folder: Folder) -> None:
    taxonomy = folder.taxonomy({"p.csv": table(offers(["0870", "870", " 1e5 ", "e\u0301t\u00e9"]))})

    assert ("0870", "870", "1e5", "\u00e9t\u00e9") == taxonomy.codes


@pytest.mark.parametrize("separator", [" >> ", "/", ">"])
def test_a_path_is_cut_at_the_level_and_a_shorter_one_is_the_node_where_it_ends(folder: Folder, separator: str) -> None:
    paths = [["Food", "Tea", "Green"], ["Food"], ["Food", "Coffee "], ["Home", "Tea"]]
    cells = [json.dumps([separator.join(path)]) for path in paths]

    products, rejects, source = folder.read(
        {"p.csv": table(offers(cells))}, category={"separator": separator, "level": 2}, languages=["en"]
    )

    taxonomy = source.taxonomy()
    assert ("Food > Tea", "Food", "Food > Coffee", "Home > Tea") == tuple(dict.fromkeys(row.code for row in products))
    assert (6, [], "Food") == (source.cells.shorter, rejects, taxonomy["Food > Tea"].parent)
    assert {"Food", "Food > Tea", "Food > Coffee", "Home > Tea", "Home"} == {one.code for one in taxonomy}
    assert ("Home", "Tea") == taxonomy.path_labels("Home > Tea", "en")


def test_several_columns_are_the_parts_of_a_path(folder: Folder) -> None:
    rows = [(f"{at}", f"title {at}", "Food", ("Tea", "Coffee", "")[at % 3]) for at in range(30)]

    products, _, _ = folder.read(
        {"p.csv": table(rows, ("id", "title", "a", "b"))}, columns=COLUMNS | {"category": ["a", "b"]}
    )

    assert {"Food > Tea", "Food > Coffee", "Food"} == {row.code for row in products}


def test_a_labels_file_has_codes_names_and_the_tree(folder: Folder) -> None:
    labels = "code,parent,label_en,label_fr,synonyms,guideline\n1,,Food,Aliments,,\n"
    labels += "2,1,Tea,Thé,infusion|chai,Leaves\n3,1,Coffee,Café,,\n"
    cells = ["2", "thé", "Chai", "Food > Coffee", "3"]

    products, rejects, source = folder.read(
        {"p.csv": table(offers(cells)), "c.csv": labels}, labels="c.csv", codes="integer"
    )

    taxonomy = source.taxonomy()
    assert (["2", "2", "2", "3", "3"], []) == ([row.code for row in products[::6]], rejects)
    assert (("2", "3"), "integer", "1", "Thé") == (
        taxonomy.codes,
        taxonomy.code_type,
        taxonomy["2"].parent,
        taxonomy.label("2", "fr"),
    )


def test_small_categories_give_their_products_to_their_parent(folder: Folder) -> None:
    rows = offers(["A > x", "B > y"], 6) + offers(["A > z"], 2)
    rows = [(number, title, category) for number, (_, title, category) in enumerate(rows)]

    taxonomy = folder.taxonomy({"p.csv": table(rows)}, category={"separator": " > "})

    assert ({"A > x", "B > y"}, True) == (set(taxonomy.codes), "A > z" in taxonomy)


def test_positions_group_extra_photos_and_missing_categories(folder: Folder) -> None:
    rows = [["7", "Tea", "Acme", "g1", '["a.jpg", "b.jpg"]', ""], ["8", "Cup", "", "g1", "sub/C.JPG", "x"]]
    columns = {"id": 0, "designation": 1, "extra": [2], "group": 3, "image": 4, "category": 5}
    files: dict[str, str | bytes] = {"p.csv": table(rows, ()), "Images/a.jpg": b"1", "Images/sub/c.jpg": b"2"}

    [tea, cup], _, _ = folder.read(files, columns=columns, header=False, images="Images")

    assert ("7", "Tea Acme", "Images/a.jpg", "", 1, "g1", '["b.jpg"]') == (
        tea.product_id, tea.designation, tea.image_path, tea.code, tea.line, tea.group, tea.other_images
    )  # fmt: skip
    assert ("8", "Cup", "Images/sub/c.jpg", "x") == (cup.product_id, cup.designation, cup.image_path, cup.code)


def test_a_photo_outside_of_its_folder_is_not_found(folder: Folder) -> None:
    rows = [["1", "a", "../secret.jpg"], ["2", "b", "/etc/passwd"]]
    files: dict[str, str | bytes] = {"p.csv": table(rows, ("id", "title", "photo")), "secret.jpg": b"", "I/a.jpg": b""}

    products, _, _ = folder.read(files, columns=COLUMNS | {"image": "photo", "category": "title"}, images="I")

    assert ["", ""] == [row.image_path for row in products]


def test_rows_are_rejected_with_file_line_column_and_reason(folder: Folder) -> None:
    rows = [
        ["1", "tea", "a"],
        ["1", "cup", "a"],
        ["", "pot", "a"],
        ["4", "", "a"],
        ["5", "mug", "a > "],
        ["6", "jar", " > b"],
    ]
    files: dict[str, str | bytes] = {"p.csv": table(rows), "q.csv": table([["1", "tin", "a"]])}

    products, rejects, _ = folder.read(files, products=["p.csv", "q.csv"], category={"separator": " > "})

    assert ["1", "5"] == [row.product_id for row in products]
    assert [
        ("p.csv", 3, "id", "'1'", "duplicate of line 2"),
        ("p.csv", 4, "id", "''", "the id is missing"),
        ("p.csv", 5, "title", "''", "neither text nor photo"),
        ("p.csv", 7, "'category'", "' > b'", "the path has an empty part"),
        ("q.csv", 2, "id", "'1'", "duplicate of p.csv line 2"),
    ] == [(one.file, one.line, one.field, one.value, one.reason) for one in rejects]


def test_a_column_that_is_there_twice_is_found_by_its_position(folder: Folder) -> None:
    text = table([["1", "tea", "a", "b"]], ("id", "title", "title", "category"))

    [product], _, _ = folder.read({"p.csv": text}, columns=COLUMNS | {"designation": 2})

    assert "a" == product.designation


TWO = offers(["a", "b"])
LABELS = "code,parent,label\n0870,,Tea\n0880,,Cup\n"
NESTED = pa.table({"id": ["1"], "title": ["a"], "category": [{"code": "a"}]})


def _parquet(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    parquet.write_table(rows, sink)
    return bytes(sink.getvalue())


BAD: dict[str, tuple[dict[str, str | bytes], dict[str, Any], str]] = {
    "a column that is not there": (
        {"p.csv": table(TWO, ("id", "titel", "category"))},
        {},
        r"p\.csv, columns\.designation: there is no column 'title'; write 'titel' \(columns: 'id', 'titel', ",
    ),
    "a column in other letters": (
        {"p.csv": table(TWO, ("id", "Títle ", "category"))},
        {},
        r"no column 'title'; write 'Títle'",
    ),
    "a column that is there twice": (
        {"p.csv": table([["1", "a", "b"]], ("id", "title", "title"))},
        {"columns": COLUMNS | {"category": "id"}},
        r"p\.csv, columns\.designation: column 'title' is there 2 times; give its position, 1 and 2",
    ),
    "a position that is not there": (
        {"p.csv": table(TWO)},
        {"columns": COLUMNS | {"category": 3}},
        r"columns\.category: has no position 3; positions are 0 to 2",
    ),
    "a name without a header": (
        {"p.csv": table(TWO, ())},
        {"header": False},
        r"the file has no header, so 'category' names no column",
    ),
    "no file": ({}, {}, r"products: 'p\.csv' matches no file"),
    "the id as category": (
        {"p.csv": table(TWO)},
        {"columns": COLUMNS | {"category": "id"}},
        r"p\.csv, column 'id': 12 products have 12 categories, and 0 of them at least 5 products; it looks like an id",
    ),
    "300,000 categories": (
        {"p.csv": table([(number, "a", f"c{number}") for number in range(100_001)])},
        {},
        r"p\.csv line 100002, column 'category': has more than 100,000 different categories; it looks like an id",
    ),
    "one category": (
        {"p.csv": table(offers(["a"]))},
        {},
        r"p\.csv, column 'category': all 6 products have the category 'a'; name another",
    ),
    "no category at all": (
        {"p.csv": table(offers([""]))},
        {},
        r"no product has a category in 'category'; name the column",
    ),
    "labels that differ by case": (
        {"p.csv": table(offers(["Grocery ", "grocery"]))},
        {},
        r"p\.csv line 8, column 'category': .*'grocery' differs only by case, blanks .* from 'Grocery' of line 2",
    ),
    "labels that differ by blanks": (
        {"p.csv": table(offers(["Baby Care", "Baby  Care"]))},
        {},
        r"line 8.*'Baby  Care' differs only by case, blanks or quotes",
    ),
    "codes with and without quotes": (
        {"p.csv": table(offers(["10", '"10"']))},
        {},
        r"line 8.*'\"10\"' differs only by case, blanks or quotes from '10'",
    ),
    "parts of a path that differ by case": (
        {"p.csv": table(offers(["A > x", "a > y"]))},
        {"category": {"separator": " > "}},
        r"category 'a' differs only by case",
    ),
    "lost zeros": (
        {"p.csv": table(offers(["870", "880"])), "c.csv": LABELS},
        {"labels": "c.csv"},
        r"p\.csv line 2, column 'category': category '870' lost its leading zeros, c\.csv has '0870'; write",
    ),
    "a code in scientific notation": (
        {"p.csv": table(offers(["3,80E+09", "a"]))},
        {},
        r"p\.csv line 2, column 'category': '3,80E\+09' is in scientific notation",
    ),
    "an id in scientific notation": (
        {"p.csv": table([["3.80473E+09", "a", "b"]])},
        {},
        r"p\.csv line 2, column id: '3\.80473E\+09' is in scientific notation",
    ),
    "a parent without a row": (
        {"p.csv": table(TWO), "c.csv": "code,parent\na,\nb,c\n"},
        {"labels": "c.csv"},
        r"c\.csv line 3, column 'parent': 'b' has the parent 'c', which has no row; add its row",
    ),
    "a cycle": (
        {"p.csv": table(TWO), "c.csv": "code,parent\na,b\nb,a\n"},
        {"labels": "c.csv"},
        r"c\.csv line 2, column 'parent': the parents of 'a' make a cycle, a → b → a; correct one of them",
    ),
    "two parents": (
        {"p.csv": table(TWO), "c.csv": "code,parent\na,\nb,\nc,a\nc,b\n"},
        {"labels": "c.csv"},
        r"c\.csv line 5, column 'parent': 'c' has two parents, 'a' and 'b'; keep one",
    ),
    "two parents in one cell": (
        {"p.csv": table(TWO), "c.csv": "code,parent\na,\nb,\nc,a|b\n"},
        {"labels": "c.csv"},
        r"c\.csv line 4.*has two parents",
    ),
    "a code with two rows": (
        {"p.csv": table(TWO), "c.csv": "code,label\na,A\na,B\n"},
        {"labels": "c.csv"},
        r"c\.csv line 3, column 'code': 'a' is given in line 2 too; delete one row",
    ),
    "a labels file without codes": (
        {"p.csv": table(TWO), "c.csv": "id,label\na,A\n"},
        {"labels": "c.csv"},
        r"c\.csv: there is no column 'code'",
    ),
    "nested columns": (
        {"p.parquet": _parquet(NESTED)},
        {"products": ["p.parquet"]},
        r"p\.parquet, columns\.category: column 'category' holds records \(nested\); write their field",
    ),
    "another encoding": (
        {"p.csv": table(offers(["Одежда", "Обувь"])).encode("cp1251")},
        {},
        r"p\.csv line 2: byte 0xce .* does not look like cp1252; set `encoding:`",
    ),
    "a folder of photos that is not there": (
        {"p.csv": table(TWO)},
        {"images": "Pictures", "columns": COLUMNS | {"image": "title"}},
        r"images: there is no folder 'Pictures'",
    ),
    "codes that are no integers": (
        {"p.csv": table(TWO)},
        {"codes": "integer"},
        r"no product has a category",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_error_that_names_place_and_remedy(folder: Folder, case: str) -> None:
    files, layout, message = BAD[case]

    with pytest.raises(CatalogueError, match=message) as caught:
        folder.taxonomy(files, **layout)

    assert "; " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_code_is_rejected_with_the_nearest_one(folder: Folder) -> None:
    files: dict[str, str | bytes] = {"p.csv": table(offers(["0870", "0880", "x870"])), "c.csv": LABELS}

    _, rejects, _ = folder.read(files, labels="c.csv")

    assert {"unknown category code, did you mean '0870'?"} == {one.reason for one in rejects}
