"""Uploaded files: dialects, columns, rows that are no products, and archives that are refused."""

import io
import zipfile
from pathlib import Path

import pytest

from product_classifier.batches import uploaded_files
from product_classifier.batches.batch_records import ColumnMapping
from product_classifier.batches.uploaded_files import CheckedFile, Kind, check_file
from product_classifier.errors import InvalidInput

TEXT = "designation{0}description\nÉté en coton{0}<p>doux</p>\nPiscine{0}\n"


def check(folder: Path, data: bytes, kind: Kind = "csv", **columns: str) -> CheckedFile:
    path, scratch = folder / "upload", folder / "scratch"
    path.write_bytes(data)
    scratch.mkdir()
    return check_file(path, kind, ColumnMapping(**columns), scratch)


def archive(files: dict[str, bytes], **options: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = options.get("external_attr", 0)
            made.writestr(entry, content)
    return out.getvalue()


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("first", ["", "sep={0}\n", "sep={0}\r\n"])
def test_each_dialect_has_the_same_products(tmp_path: Path, delimiter: str, encoding: str, first: str) -> None:
    found = check(tmp_path, (first + TEXT).format(delimiter).encode(encoding))

    assert (2, 0, ()) == (found.rows, found.rejected, found.problems)
    assert ColumnMapping(designation="designation", description="description") == found.columns


def test_a_row_that_is_no_product_is_reported_with_its_line(tmp_path: Path) -> None:
    found = check(tmp_path, b"id,designation\n1,Chemise\n2,\n3,%s\n" % (b"x" * 10_001))

    assert (3, 2) == (found.rows, found.rejected)
    assert [3, 4] == [one.line for one in found.problems]
    assert "neither text nor photo" in found.problems[0].reason
    assert "10,001 characters" in found.problems[1].reason


def test_columns_with_other_names_are_mapped(tmp_path: Path) -> None:
    found = check(tmp_path, b"code,libelle\n1,Chemise\n", designation="libelle", id="code")

    assert ColumnMapping(id="code", designation="libelle") == found.columns


def test_the_layout_of_the_challenge_is_recognized(tmp_path: Path) -> None:
    data = b",designation,description,productid,imageid\n0,Chemise,,1,2\n1,,,3,4\n2,,,5,6\n"
    found = check(
        tmp_path, archive({"X.csv": data, "images/image_5.jpg": b"", "images/image_6_product_5.jpg": b"x"}), "zip"
    )

    assert (None, 3, 1) == (found.columns, found.rows, found.rejected)


def test_a_photo_that_is_missing_in_the_archive_is_reported(tmp_path: Path) -> None:
    data = b"designation,image\nChemise,a.jpg\n,photos/b.jpg\n,c.jpg\n"
    found = check(tmp_path, archive({"data/list.csv": data, "photos/a.jpg": b"x", "photos/b.jpg": b"x"}), "zip")

    assert (3, 1) == (found.rows, found.rejected)
    assert ("c.jpg" in found.problems[0].reason, 4) == (True, found.problems[0].line)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "has no rows"),
        (b"a,b\n1,2\n", "none of its columns is known as designation or image"),
        (b"designation\n\n ,\n", "has no product"),
    ],
)
def test_a_file_without_products_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        check(tmp_path, data)


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="has no column 'titel'; it has"):
        check(tmp_path, b"designation\nChemise\n", designation="titel")


CSV = b"designation\nChemise\n"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"PK\x03\x04 and no archive", "is no ZIP archive"),
        (archive({"a.csv": CSV})[:-30], "is no ZIP archive"),
        (archive({"a.csv": CSV, "b.csv": CSV}), "must have one CSV"),
        (archive({"a.jpg": b"x"}), "must have one CSV, it has none"),
        (archive({"a.csv": CSV, "../b.jpg": b"x"}), "path outside of the archive"),
        (archive({"a.csv": CSV, "/etc/passwd": b"x"}), "path outside of the archive"),
        (archive({"a.csv": CSV, "x/../../b.jpg": b"x"}), "path outside of the archive"),
        (archive({"a.csv": CSV, "C:b.jpg": b"x"}), "path outside of the archive"),
        (archive({"a.csv": CSV, "b.jpg": b"/etc/passwd"}, external_attr=0o120777 << 16), "is a symbolic link"),
        (archive({"a.csv": CSV, "b.jpg": bytes(30 << 20)}), "expands from"),
    ],
)
def test_an_archive_that_cannot_be_trusted_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        check(tmp_path, data, "zip")
    assert [tmp_path / "scratch", tmp_path / "upload"] == sorted(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "limit"), [("MAX_ENTRIES", 1), ("MAX_UNPACKED_BYTES", 10)])
def test_an_archive_beyond_the_limits_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, limit: int
) -> None:
    monkeypatch.setattr(uploaded_files, name, limit)
    with pytest.raises(InvalidInput, match=r"at most \d+"):
        check(tmp_path, archive({"a.csv": CSV, "b.jpg": b"x"}), "zip")
