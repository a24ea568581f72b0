import json
from pathlib import Path

import pandas as pd
import pytest

from components.split_catalogue import step
from product_classifier.catalogue.splits import SPLITS
from product_classifier.errors import CatalogueError


def _run(frame: pd.DataFrame, folder: Path, keep: Path | None = None) -> Path:
    folder.mkdir()
    frame.to_parquet(folder / "catalogue.parquet")
    sides = {side: folder / f"{side}.parquet" for side in SPLITS}
    step.run(folder / "catalogue.parquet", **sides, report=folder / "report.json", keep=keep)
    return folder


def _sides(folder: Path) -> dict[int, str]:
    return {product: side for side in SPLITS for product in pd.read_parquet(folder / f"{side}.parquet")["product_id"]}


def _catalogue(count: int) -> pd.DataFrame:
    rows = [(n, f"un titre parmi d'autres {n}", "", "", 10, n + 2, "") for n in range(count)]
    names = ["product_id", "designation", "description", "image_path", "code", "line", "image_sha256"]
    return pd.DataFrame(rows, columns=names)


def test_every_product_is_on_one_side_and_counted(tmp_path: Path) -> None:
    folder = _run(_catalogue(200), tmp_path / "a")

    report = json.loads((folder / "report.json").read_text())
    assert 200 == len(_sides(folder)) == sum(report[side]["products"] for side in SPLITS)
    assert 0 == report["quarantined"]["products"]
    assert {"10": report["train"]["products"]} == report["train"]["by_code"]


def test_a_product_that_would_leak_is_quarantined_and_reported(tmp_path: Path) -> None:
    frame = _catalogue(60)
    sides = _sides(_run(frame, tmp_path / "before"))
    trained_on, held_out = (next(p for p, side in sides.items() if side == wanted) for wanted in ("train", "test"))
    frame.loc[held_out, "image_sha256"] = "f00"
    bridge = frame.loc[[trained_on]].assign(product_id=999, image_sha256="f00")

    folder = _run(pd.concat([frame, bridge]), tmp_path / "after")

    assert sides == _sides(folder)
    assert [999] == json.loads((folder / "report.json").read_text())["quarantined"]["product_ids"]


def test_products_keep_their_sides_when_rows_come_in_another_order(tmp_path: Path) -> None:
    frame = _catalogue(100)
    frame["image_sha256"] = [f"photo {n // 3}" for n in range(100)]
    before = _run(frame, tmp_path / "before")

    after = _run(frame[::-1], tmp_path / "after", keep=before)

    assert _sides(before) == _sides(after)


def test_an_incomplete_earlier_split_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"train\.parquet is missing"):
        _run(_catalogue(10), tmp_path / "a", keep=tmp_path)


def test_a_catalogue_without_products_to_train_on_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="0 products leave none to train on"):
        _run(_catalogue(0), tmp_path / "a")
