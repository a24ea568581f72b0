"""Files of labels are read as they are written, and in every dialect."""

from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from product_classifier.errors import InvalidInput
from product_classifier.feedback.label_files import COLUMNS, READ_COLUMNS, read_rows, write_rows
from product_classifier.feedback.label_formats import SUFFIXES, LabelFormat

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30).filter(
    lambda text: text == text.strip()
)
ROWS = st.lists(
    st.fixed_dictionaries(
        dict.fromkeys(("code", "designation"), TEXT)
        | {name: st.none() | TEXT for name in ("description", "comment", "predicted")}
    ),
    min_size=1,
    max_size=8,
)


def written(rows: list[dict[str, Any]], form: LabelFormat) -> bytes:
    return b"".join(write_rows(iter([dict.fromkeys(COLUMNS) | row for row in rows]), form))


@pytest.mark.parametrize("form", get_args(LabelFormat))
@settings(max_examples=40, deadline=None)
@given(rows=ROWS)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], form: LabelFormat
) -> None:
    path = tmp_path_factory.mktemp("labels") / f"file.{SUFFIXES[form]}"
    path.write_bytes(written(rows, form))

    expected = [{name: row[name] for name in READ_COLUMNS if row.get(name)} for row in rows]
    assert expected == [dict(row.cells) for row in read_rows(path, form)]


@pytest.mark.parametrize(
    "content",
    [
        "code;designation;prix\r\nthé;Sencha, 100 g;3\r\n".encode(),
        "code;designation\nthé;Sencha, 100 g\n".encode("cp1252"),
        b"\xef\xbb\xbf" + 'Code,designation\nthé,"Sencha, 100 g"\n'.encode(),
        "sep=;\ncode;designation\nthé;Sencha, 100 g\n".encode(),
        "designation\tcode\nSencha, 100 g\tthé\n".encode(),
    ],
)
def test_a_dialect_of_csv_is_detected(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(content)

    (row,) = read_rows(path, "csv")

    assert {"code": "thé", "designation": "Sencha, 100 g"} == row.cells


@pytest.mark.parametrize(
    ("form", "content", "problems"),
    [
        ("csv", b"code,designation\na,b\na,b,c\n", ["", "3 fields instead of 2"]),
        ("jsonl", b'{"code": "a", "designation": "b"}\nx\n', ["", "not JSON"]),
        ("label-studio", b'[{"data": {}, "annotations": []}]', ["has no annotation with one choice"]),
        ("label-studio", b"[\n{,\n]\n", ["is not JSON"]),
    ],
)
def test_a_row_that_cannot_be_read_has_a_problem(
    tmp_path: Path, form: LabelFormat, content: bytes, problems: list[str]
) -> None:
    path = tmp_path / f"file.{SUFFIXES[form]}"
    path.write_bytes(content)

    found = [row.problem for row in read_rows(path, form)]

    assert len(problems) == len(found)
    assert all(problem.startswith(expected) for problem, expected in zip(found, problems, strict=True))


@pytest.mark.parametrize(
    ("form", "content", "message"),
    [
        ("csv", b"label,designation\na,b\n", "name the one of categories 'code'"),
        ("label-studio", b"{}", "is not a list of tasks"),
        ("label-studio", b"x", "is not JSON"),
    ],
)
def test_a_file_without_labels_is_refused(tmp_path: Path, form: LabelFormat, content: bytes, message: str) -> None:
    path = tmp_path / f"file.{SUFFIXES[form]}"
    path.write_bytes(content)

    with pytest.raises(InvalidInput, match=message):
        list(read_rows(path, form))
