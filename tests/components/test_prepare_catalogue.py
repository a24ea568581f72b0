import json
from pathlib import Path

import pandas as pd
import pytest

from components.prepare_catalogue import step
from product_classifier.errors import CatalogueError
from tests.support.fixtures_data import RawFolder, jpeg


def _run(raw: Path, folder: Path, share: float = 0.05) -> str:
    return step.run(
        raw,
        folder / "out" / "catalogue.parquet",
        folder / "out" / "rejects.csv",
        folder / "out" / "r.json",
        share,
    )


def test_catalogue_rejects_and_report_are_written(raw: RawFolder, tmp_path: Path) -> None:
    raw.add("Texte et photo", "oui", 10, jpeg())
    raw.add("Texte seul", "", 40)
    raw.add("", "", 40, jpeg(7))
    raw.add("Code inconnu", "", 41)
    raw.add("Texte et photo illisible", "oui", 10, jpeg()[:-40])

    revision = _run(raw.write(), tmp_path, 0.5)

    catalogue = pd.read_parquet(tmp_path / "out" / "catalogue.parquet")
    assert 4 == len(catalogue)
    assert {True} == {not path or (raw.folder / path).is_file() for path in catalogue["image_path"]}
    assert not any(Path(path).is_absolute() for path in catalogue["image_path"])
    rejects = pd.read_csv(tmp_path / "out" / "rejects.csv")
    assert ["Y_train_CVw08PX.csv", 5, "prdtypecode", "'41'", "unknown category code"] in rejects.to_numpy().tolist()
    assert ["undecodable photo: the JPEG is truncated"] == [one for one in rejects["reason"] if "photo" in one]
    assert {
        "data_revision": revision,
        "products": 4,
        "rejected": 1,
        "dropped_photos": 1,
        "rejected_by_field": {"prdtypecode": 1},
        "with_text_and_photo": 1,
        "without_photo": 2,
        "without_text": 1,
        "without_description": 2,
        "by_code": {"10": 2, "40": 2},
    } == json.loads((tmp_path / "out" / "r.json").read_text())


def test_too_many_rejects_stop_the_step_and_are_still_written(raw: RawFolder, tmp_path: Path) -> None:
    raw.add("Bon produit")
    raw.add("Code inconnu", code=41)

    with pytest.raises(CatalogueError, match=r"1 of 2 rows \(50.0%\) cannot be used, 5.0% are allowed"):
        _run(raw.write(), tmp_path)

    assert 1 == len(pd.read_csv(tmp_path / "out" / "rejects.csv"))
    assert not (tmp_path / "out" / "catalogue.parquet").exists()


def test_the_revision_does_not_depend_on_where_the_files_lie(raw: RawFolder, tmp_path: Path) -> None:
    raw.add("Texte et photo", "oui", 10, jpeg())
    first = _run(raw.write(), tmp_path)
    moved = raw.folder.rename(tmp_path / "elsewhere")

    assert first == _run(moved, tmp_path)
