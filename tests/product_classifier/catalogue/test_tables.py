"""Every format of a table gives the same rows, with every cell as text."""

import bz2
import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_classifier.catalogue.layout import CatalogueLayout
from product_classifier.catalogue.tables.csv_records import CsvRecords, Dialect
from product_classifier.catalogue.tables.table_files import find_table_files, open_table
from product_classifier.errors import CatalogueError

ROWS = [["code", "title"], ["0870", 'Écran 5" — neuf'], ["1e5", "two\nlines"], ["007", "a;b,c"]]
CSV = 'code,title\n0870,Écran 5"" — neuf\n'.replace('Écran 5"" — neuf', '"Écran 5"" — neuf"') + (
    '1e5,"two\nlines"\n007,"a;b,c"\n'
)


def layout(**values: Any) -> CatalogueLayout:
    given = {"products": ["*"], "columns": {"designation": "title", "category": "code"}} | values
    return CatalogueLayout.model_validate(given)


def _read(path: Path, **values: Any) -> list[list[str | None]]:
    table = open_table(path, layout(**values))
    return [list(table.columns), *(list(row.cells) for row in table.rows())]


def _parquet(path: Path) -> None:
    pd.DataFrame(ROWS[1:], columns=ROWS[0]).to_parquet(path, index=False)


def _json_lines(path: Path) -> None:
    path.write_text("\n".join(json.dumps(dict(zip(ROWS[0], row, strict=True))) for row in ROWS[1:]))


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("products.csv", CSV)
        archive.writestr("__MACOSX/._products.csv", "")


def workbook(path: Path, rows: list[list[str | float]]) -> None:
    """Write a workbook with one sheet; numbers are numbers, as spreadsheets store them."""

    def cell(value: str | float) -> str:
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
        return f"<c><v>{value}</v></c>"

    sheet = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    relations = f'<Relationships xmlns="{package}"><Relationship Id="r1" Type="{office}/'
    parts = {
        "_rels/.rels": f'{relations}officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
        "xl/_rels/workbook.xml.rels": f'{relations}worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="Products" sheetId="1"'
        ' r:id="r1"/></sheets></workbook>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{sheet}</sheetData></worksheet>',
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{part}')


def _arrow(codec: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with pa.output_stream(str(path), compression=codec) as stream:
            stream.write(CSV.encode())

    return write


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("p.csv", lambda path: path.write_text(CSV)),
        ("p.csv.gz", lambda path: path.write_bytes(gzip.compress(CSV.encode()))),
        ("p.csv.bz2", lambda path: path.write_bytes(bz2.compress(CSV.encode()))),
        ("p.csv.zst", _arrow("zstd")),
        ("p.csv.zip", _zip),
        ("p.zip", _zip),
        ("utf16.csv", lambda path: path.write_bytes(CSV.encode("utf-16"))),
        ("bom.csv", lambda path: path.write_bytes(CSV.encode("utf-8-sig"))),
        ("cp1252.csv", lambda path: path.write_bytes(CSV.encode("cp1252"))),
        ("mac.csv", lambda path: path.write_bytes(CSV.replace("\n0870", "\r\n0870").encode())),
        ("p.parquet", _parquet),
        ("p.jsonl", _json_lines),
        ("p.xlsx", lambda path: workbook(path, ROWS)),
    ],
)
def test_every_format_gives_the_same_text(tmp_path: Path, name: str, write: Callable[[Path], object]) -> None:
    write(tmp_path / name)

    assert ROWS == _read(tmp_path / name)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("stated", [False, True])
def test_the_delimiter_is_detected_or_stated_by_a_line(tmp_path: Path, delimiter: str, stated: bool) -> None:
    rows = [["code", "title"], *([str(number), "Ciseaux, colle; 3 | 4,5 €"] for number in range(9))]
    lines = [f"sep={delimiter}"] * stated + [f'{code}{delimiter}"{title}"' for code, title in rows]
    (tmp_path / "p.csv").write_text("\n".join(lines))

    assert rows == _read(tmp_path / "p.csv")


def test_the_layout_prevails_over_what_is_detected(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_bytes("a;b,c\n1;2,é\n".encode("latin-1"))

    assert [["a", "b,c"], ["1", "2,é"]] == _read(tmp_path / "p.csv", delimiter=";", encoding="latin-1")
    assert [["0", "1"], ["a;b", "c"], ["1;2", "é"]] == _read(tmp_path / "p.csv", header=False)


def test_quotes_are_ordinary_characters_where_they_are_not_paired(tmp_path: Path) -> None:
    rows = [["code", "title"], *([str(number), '"Best" tablet 10"'] for number in range(9))]
    (tmp_path / "p.tsv").write_text("\n".join("\t".join(row) for row in rows))

    assert rows == _read(tmp_path / "p.tsv")


def test_whole_numbers_of_spreadsheets_have_no_fraction(tmp_path: Path) -> None:
    frame = pd.DataFrame({"code": [2583.0, None, 10.5], "title": [1, 2, 3]})
    frame.to_parquet(tmp_path / "p.parquet")

    assert [["2583", "1"], [None, "2"], ["10.5", "3"]] == _read(tmp_path / "p.parquet")[1:]


def test_numbers_of_a_workbook_are_text_and_empty_rows_are_skipped(tmp_path: Path) -> None:
    workbook(tmp_path / "p.xlsx", [["code", "title"], [2583.0, "a"], ["", ""], [3804725264.0, 10.5]])

    table = open_table(tmp_path / "p.xlsx", layout())

    assert [(2, ["2583", "a"]), (4, ["3804725264", "10.5"])] == [(row.line, row.cells) for row in table.rows()]
    assert "workbook, sheet 'Products'" == table.format


def test_a_list_is_one_cell_and_a_record_is_named(tmp_path: Path) -> None:
    table = pa.table({"code": ["1"], "title": [["a", "b"]], "nested": [{"x": 1}]})
    pa.parquet.write_table(table, tmp_path / "p.parquet")
    (tmp_path / "p.jsonl").write_text('{"code": 1, "title": ["a", "b"], "nested": {"x": 1}}\n')

    for name in ("p.parquet", "p.jsonl"):
        found = open_table(tmp_path / name, layout())
        assert ({"nested"}, ["1", '["a", "b"]', None]) == (found.nested, next(found.rows()).cells)


def test_malformed_rows_are_rejected_with_their_lines(tmp_path: Path) -> None:
    good = "".join(f"{number},x\n" for number in range(30))
    (tmp_path / "p.csv").write_text(f'code,title\n{good}1,"open\n2,fine\n3,a,b\n\n4,"multi\nline"\n5,end\n')

    rows = list(open_table(tmp_path / "p.csv", layout()).rows())[30:]

    assert [(32, True), (33, False), (34, True), (36, False), (38, False)] == [
        (row.line, bool(row.problem)) for row in rows
    ]
    assert ["4", "multi\nline"] == rows[3].cells


@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=8), min_size=2, max_size=2)
    )
)
def test_what_is_written_as_csv_is_read(rows: list[list[str]]) -> None:
    lines = (",".join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row) + "\n" for row in rows)

    assert rows == [row.cells for row in CsvRecords(lines, Dialect())]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("p.csv", b"", r"p\.csv: has no rows and no header; check the file"),
        ("p.csv.gz", b"no gzip", r"p\.csv\.gz: cannot be read: .*; check the file"),
        ("p.zip", b"no zip", r"p\.zip: is not a ZIP archive"),
        ("p.parquet", b"PAR1 no", r"p\.parquet: is not a Parquet file"),
        ("p.xlsx", b"no workbook", r"p\.xlsx: is not a readable workbook"),
        ("p.jsonl", b"[1]\n", r"p\.jsonl: has no JSON object"),
        ("p.doc", b"x", r"p\.doc: the format of '\.doc' is not known; use \.csv"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_error(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)

    with pytest.raises(CatalogueError, match=message):
        list(open_table(tmp_path / name, layout()).rows())


def test_patterns_find_each_file_once_and_none_outside(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "notes.txt"):
        (tmp_path / name).touch()

    assert ["b.csv", "a.csv"] == [path.name for path in find_table_files(tmp_path, ["b.csv", "*.csv"])]
    with pytest.raises(CatalogueError, match=r"products: '\*\.tsv' matches no file; the folder has a\.csv, b\.csv"):
        find_table_files(tmp_path, ["*.tsv"])
    with pytest.raises(CatalogueError, match="outside of the folder"):
        find_table_files(tmp_path, ["../*.csv"])
