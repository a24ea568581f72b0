import json
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from product_classifier.catalogue.catalogue_reader import (
    COLUMNS,
    RejectedRow,
    check_reject_share,
    data_revision,
    read_catalogue,
)
from product_classifier.errors import CatalogueError
from tests.support.fixtures_data import RawFolder, jpeg


def _calls(rejects: list[RejectedRow]) -> list[tuple[str, int, str, str]]:
    return [(reject.file, reject.line, reject.field, reject.reason) for reject in rejects]


@pytest.mark.parametrize(
    ("products", "labels"),
    [("X_train_update.csv", "Y_train_CVw08PX.csv"), ("X_train.csv", "Y_train.csv"), ("X_data.csv", "Y_data.csv")],
)
@pytest.mark.parametrize("photos", ["images/image_train", "images", "images/images/image_train"])
def test_every_layout_is_read(raw: RawFolder, products: str, labels: str, photos: str) -> None:
    raw.products, raw.labels, raw.photos = products, labels, photos
    raw.add("Roman policier", "Très bon état", 2705, jpeg())

    frame, rejects = read_catalogue(raw.write())

    photo = f"{photos}/image_2000_product_1000.jpg"
    expected = (1000, "Roman policier", "Très bon état", photo, "2705", 2, sha256(jpeg()).hexdigest(), products, "", "")
    assert ([expected], []) == (list(frame.itertuples(index=False, name=None)), rejects)
    assert list(COLUMNS) == list(frame.columns)


def test_labels_are_joined_by_row_number(raw: RawFolder) -> None:
    raw.row(7, "Piscine tubulaire", "", 1, 1)
    raw.row(3, "Jeu de société", "", 2, 2)
    raw.label(3, 1281)
    raw.label(7, 2583)

    frame, _ = read_catalogue(raw.write())

    assert {1: "2583", 2: "1281"} == dict(zip(frame["product_id"], frame["code"], strict=True))


def test_a_product_needs_only_text_or_photo(raw: RawFolder) -> None:
    raw.add("Titre seul")
    raw.add("", "Description seule")
    raw.add("", "", photo=jpeg())

    frame, rejects = read_catalogue(raw.write())

    assert [("Titre seul", "", False), ("", "Description seule", False), ("", "", True)] == [
        (row.designation, row.description, bool(row.image_path)) for row in frame.itertuples()
    ]
    assert [] == rejects


def test_markup_is_preserved_and_mojibake_is_repaired(raw: RawFolder) -> None:
    raw.add("Caf&eacute; <b>moulu</b>", "PÃ¢te Ã  tartiner\x00")

    frame, _ = read_catalogue(raw.write())

    assert ["Caf&eacute; <b>moulu</b>", "Pâte Ã  tartiner"] == list(frame.loc[0, ["designation", "description"]])


def test_any_text_is_read_and_a_missing_value_is_no_text(raw: RawFolder) -> None:
    raw.add("mot &#" + "9" * 4301)
    raw.add("nan", "None")
    raw.add("mot" + "\u0301" * 20_000)

    frame, rejects = read_catalogue(raw.write())

    assert [2, 4] == list(frame["line"])
    assert [(3, "neither text nor photo")] == [(reject.line, reject.reason) for reject in rejects]


def test_rows_of_another_encoding_are_read(raw: RawFolder) -> None:
    raw.encoding = "cp1252"
    raw.add("Été à Orléans", "5 €")

    frame, _ = read_catalogue(raw.write())

    assert ["Été à Orléans", "5 €"] == list(frame.loc[0, ["designation", "description"]])


def test_line_numbers_account_for_multiline_text(raw: RawFolder) -> None:
    raw.add("Un titre", "ligne une\nligne deux\nligne trois")
    raw.add("Un autre")

    frame, _ = read_catalogue(raw.write())

    assert [2, 5] == list(frame["line"])
    assert "ligne une\nligne deux\nligne trois" == frame.loc[0, "description"]


def test_numbers_written_by_a_spreadsheet_are_parsed(raw: RawFolder) -> None:
    raw.row("0.0", "Console", "", "12.0", "13.0")
    raw.label("0.0", "60.0")

    frame, rejects = read_catalogue(raw.write())

    assert [(12, "60")] == list(frame[["product_id", "code"]].itertuples(index=False, name=None))
    assert [] == rejects


def test_each_malformed_row_is_rejected_with_its_line_and_reason(raw: RawFolder) -> None:
    x, y = raw.products, raw.labels
    raw.add("Un bon produit")
    raw.add(" ", "<br/>&nbsp;")
    raw.add("Catégorie inconnue", code=99)
    raw.add("Catégorie sans nombre", code="dix")
    raw.add("", photo=b"not a photo")
    raw.row(5, "Produit en double", "", 1000, 9)
    raw.label(5, 10)
    raw.row(6, "Numéro de produit faux", "", "abc", 9)
    raw.label(6, 10)
    raw.row(7, "Numéro de photo faux", "", 77, -1)
    raw.label(7, 10)
    raw.row(0, "Ligne en double", "", 78, 9)
    raw.row("x", "Sans numéro", "", 79, 9)
    raw.row(10, "Sans code", "", 80, 9)
    raw.row(11, "Trop de colonnes", "", 81, 9, "?")
    raw.label(11, 10)
    raw.label(12, 40)
    raw.label(0, 40)

    frame, rejects = read_catalogue(raw.write())

    undecodable = next(reject for reject in rejects if reject.line == 6)
    assert "undecodable photo" in undecodable.reason
    assert "'image_2004_product_1004.jpg'" == undecodable.value
    rejects.remove(undecodable)
    assert [1000] == list(frame["product_id"])
    assert [
        (x, 3, "designation", "neither text nor photo"),
        (x, 7, "productid", "duplicate of line 2"),
        (x, 8, "productid", "not a number"),
        (x, 9, "imageid", "not a number"),
        (x, 10, "row number", "row number given twice"),
        (x, 11, "row number", "not a row number"),
        (x, 12, "row number", "no label for this row"),
        (x, 13, "row number", "6 fields instead of 5"),
        (y, 4, "prdtypecode", "unknown category code"),
        (y, 5, "prdtypecode", "not a number"),
        (y, 11, "row number", "label without a product"),
        (y, 12, "row number", "row number given twice"),
    ] == _calls(rejects)


def test_an_unclosed_quote_rejects_one_row(raw: RawFolder) -> None:
    for name in ("a", "b", "c", "d"):
        raw.add(f"Produit {name}")
    path = raw.write() / raw.products
    path.write_text(path.read_text().replace("Produit b", '"Produit b'))

    frame, rejects = read_catalogue(raw.folder)

    assert ["Produit a", "Produit c", "Produit d"] == list(frame["designation"])
    assert [(raw.products, 3, "row number")] == [calls[:3] for calls in _calls(rejects)]


@given(st.binary(max_size=300), st.binary(max_size=60))
def test_any_file_content_gives_products_or_rejects(products: bytes, labels: bytes) -> None:
    with TemporaryDirectory() as folder:
        Path(folder, "X_train.csv").write_bytes(b",designation,description,productid,imageid\n" + products)
        Path(folder, "Y_train.csv").write_bytes(b",prdtypecode\n" + labels)

        frame, rejects = read_catalogue(Path(folder))

    assert len(frame) + len(rejects) <= (products + labels).count(b"\n") + (products + labels).count(b"\r") + 2


def test_a_rejected_value_is_truncated(raw: RawFolder) -> None:
    raw.add("Un titre", code="9" * 5000)

    _, [reject] = read_catalogue(raw.write())

    assert len(reject.value) < 80


def test_progress_reaches_the_end(raw: RawFolder) -> None:
    raw.add("Un titre", photo=jpeg())
    calls: list[tuple[str, int, int]] = []

    read_catalogue(raw.write(), progress=lambda *step: calls.append(step))

    assert [("read products", 1, 1), ("check photos", 1, 1)] == calls


def test_the_error_names_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"nowhere.*does not exist"):
        read_catalogue(tmp_path / "nowhere")


def test_the_error_for_missing_files_lists_the_folder(tmp_path: Path) -> None:
    (tmp_path / "X_train.csv").write_text(",designation\n")
    (tmp_path / "notes.txt").touch()

    with pytest.raises(CatalogueError, match=r"none of Y_train_CVw08PX.csv.*it holds: X_train.csv, notes.txt"):
        read_catalogue(tmp_path)


def test_the_error_for_missing_columns_lists_the_header(raw: RawFolder) -> None:
    raw.header = ("", "title", "description", "productid", "imageid")
    raw.add("Un titre")

    with pytest.raises(CatalogueError, match=r"X_train_update.csv lacks the column 'designation'; it has .*'title'"):
        read_catalogue(raw.write())


def test_an_empty_file_is_refused(raw: RawFolder) -> None:
    (raw.write() / raw.products).write_bytes(b"")

    with pytest.raises(CatalogueError, match="no header"):
        read_catalogue(raw.folder)


@pytest.mark.parametrize(("rejected", "refused"), [(0, False), (5, False), (6, True)])
def test_too_many_rejects_are_one_error(rejected: int, refused: bool) -> None:
    rejects = [RejectedRow("X.csv", line, "productid", "'a'", "not a number") for line in range(2, 2 + rejected)]

    if not refused:
        check_reject_share(rejects, 100 - rejected, 0.05)
        return
    with pytest.raises(CatalogueError, match=r"6 of 100 rows \(6.0%\).*6 × X.csv line 2, productid 'a': not a number"):
        check_reject_share(rejects, 100 - rejected, 0.05)


def test_a_catalogue_without_products_is_an_error_at_any_share() -> None:
    with pytest.raises(CatalogueError, match="no rows"):
        check_reject_share([], 0, 1.0)


def test_the_revision_depends_on_content_and_not_on_paths() -> None:
    row = {"product_id": 1, "code": "10", "designation": "a", "description": "", "image_sha256": "f", "image_path": "x"}
    frame = pd.DataFrame([row])

    assert data_revision(frame) == data_revision(frame.assign(image_path="y"))
    assert data_revision(frame) != data_revision(frame.assign(designation="b"))


def test_the_sample_is_read_without_a_reject(sample_raw: Path) -> None:
    frame, rejects = read_catalogue(sample_raw)

    recipe = json.loads((sample_raw / "SAMPLE.json").read_text())
    assert (recipe["products"], []) == (len(frame), rejects)
