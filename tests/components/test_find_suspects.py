"""The step lists wrong labels from out-of-fold predictions, as JSON and as a page with photos."""

import hashlib
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from components.find_suspects import step
from components.shared.out_of_fold import read_out_of_fold
from product_classifier.catalogue.challenge import CHALLENGE


class _Images(HTMLParser):
    """Collects the sources of images."""

    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.sources.append(dict(attrs)["src"] or "")


@pytest.fixture
def planted(splits_dir: Path, tmp_path: Path) -> dict[Any, str]:
    """A copy of the training split with wrong labels on products that the text model is confident of."""
    train = pd.read_parquet(splits_dir / "train.parquet")
    found = read_out_of_fold(splits_dir / "text_out_of_fold.parquet")
    confident = dict(zip(found.product_ids, found.probabilities.confidence > 0.3, strict=True))
    rows = [row for row, product in enumerate(train["product_id"]) if confident.get(product)][::15]
    codes = [CHALLENGE.codes[(CHALLENGE.codes.index(code) + 9) % 27] for code in train["code"].iloc[rows]]
    train.loc[train.index[rows], "code"] = codes
    train.loc[train.index[rows[0]], "designation"] = "<script>alert(1)</script> livre"
    train.loc[train.index[rows[1]], "image_path"] = "images/of-a-correction"  # in the object store, not a raw file
    train.to_parquet(tmp_path / "train.parquet")
    return dict(zip(train["product_id"].iloc[rows].tolist(), codes, strict=True))


def test_wrong_labels_are_listed_with_photos(
    splits_dir: Path, release_dir: Path, planted: dict[Any, str], tmp_path: Path
) -> None:
    (tmp_path / "store").mkdir()
    count = step.run(
        tmp_path / "train.parquet",
        splits_dir / "validation.parquet",
        splits_dir,
        splits_dir / "text_out_of_fold.parquet",
        splits_dir / "image_out_of_fold.parquet",
        release_dir / "fusion",
        tmp_path / "out" / "suspects.json",
        tmp_path / "out" / "report.html",
        CHALLENGE,
        limit=len(planted),
        store=f"file://{tmp_path}/store",
    )

    document = json.loads((tmp_path / "out" / "suspects.json").read_text())
    page = (tmp_path / "out" / "report.html").read_text()
    found = document["suspects"]
    right = [one for one in found if planted.get(one["product_id"]) == str(one["code"])]
    assert planted
    assert len(planted) == len(found) == count
    assert len(right) >= len(found) / 2
    assert all(one["probability"] < one["suggested_probability"] for one in found)
    images = _Images()
    images.feed(page)
    assert images.sources
    assert all(source.startswith("data:image/jpeg;base64,") for source in images.sources)
    assert "<script" not in page
    paths = [splits_dir / one["image_path"] for one in found if one["image_path"]]
    photos = [path.read_bytes() for path in paths if path.exists()]
    assert len(photos) < len(paths)
    assert {hashlib.sha256(one).hexdigest() for one in photos} == {
        path.name for path in (tmp_path / "store/images").iterdir()
    }
