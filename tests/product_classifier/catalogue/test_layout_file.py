import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from product_classifier.catalogue.layout_file import SCHEMA_FILE, json_schema, read_layout
from product_classifier.errors import CatalogueError

WHOLE = """
name: Shop
languages: [en, fr]
products: ["*.csv", "more/*.parquet"]
columns: {id: 0, designation: title, description: text, image: photo, category: path, group: 3, extra: [brand, 5]}
category: {separator: " >> ", level: 2, minimum_products: 3}
codes: string
labels: categories.csv
images: Images
header: true
delimiter: ";"
quote: ""
encoding: cp1252
"""
MINIMAL = "products: [a.csv]\ncolumns: {designation: t, category: c}\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "catalogue.yaml"


@pytest.mark.parametrize("text", [WHOLE, MINIMAL, MINIMAL.replace("designation", "image").replace(": c", ": [c, 2]")])
def test_a_layout_is_read_and_matches_the_published_schema(file: Path, text: str) -> None:
    file.write_text(text)

    layout = read_layout(file)

    values = yaml.safe_load(text)
    assert values == layout.model_dump(exclude_unset=True)
    jsonschema.validate(values, json_schema())


def test_the_published_schema_is_current() -> None:
    """Run `python -m product_classifier.catalogue.layout_file` when this fails."""
    assert json_schema() == json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            MINIMAL + "labls: x",
            r"catalogue\.yaml line 3, labls: is not a known key; write 'labels' \(known here: .*images",
        ),
        (MINIMAL.replace("designation", "designaton"), r"line 2, columns\.designaton: .*; write 'designation'"),
        (MINIMAL + "products: [b.csv]", r"line 3, products: is given twice; delete one of the two"),
        (MINIMAL.replace("[a.csv]", "a.csv"), r"line 1, products: must be a list, not 'a\.csv'; correct the value"),
        (MINIMAL.replace(": t", ": no"), r"line 2, columns\.designation: must be a name or a position .* not False"),
        (MINIMAL.replace(": t", ": -1"), r"line 2, columns\.designation: must be a name or a position from 0, not -1"),
        ("products: [a.csv]\ncolumns: {designation: t}", r"line 2, columns\.category: is missing; give it"),
        ("products: [a.csv]\ncolumns: {category: t}", r"line 2, columns: needs `designation` or `image`"),
        (MINIMAL + "category: {level: 2}", r"`category\.level` needs paths; give `category\.separator`"),
        (MINIMAL + "codes: text", r"line 3, codes: must be 'string' or 'integer', not 'text'"),
        (MINIMAL + "languages: [English]", r"line 3, languages\.0: must match .* not 'English'"),
        (MINIMAL + "delimiter: ';;'", r"line 3, delimiter: has 2 characters; at most 1"),
        ("a: [", r"catalogue\.yaml: is not valid YAML: .*; correct the file"),
        ("- a", r"catalogue\.yaml: is not a mapping .*`make inspect`"),
        ("", r"catalogue\.yaml: is not a mapping"),
    ],
)
def test_an_error_names_the_line_the_key_and_the_remedy(file: Path, text: str, message: str) -> None:
    file.write_text(text)

    with pytest.raises(CatalogueError, match=message):
        read_layout(file)


def test_a_layout_that_is_not_utf_8_or_missing_is_an_error(file: Path) -> None:
    with pytest.raises(CatalogueError, match="cannot be read"):
        read_layout(file)
    file.write_bytes("name: é".encode("latin-1"))
    with pytest.raises(CatalogueError, match=r"catalogue\.yaml: byte 0xe9 at position 6 is not UTF-8"):
        read_layout(file)
