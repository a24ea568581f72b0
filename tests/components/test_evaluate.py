import json
from pathlib import Path

import pandas as pd
import pytest

from components.evaluate import step
from product_classifier.errors import CatalogueError


def test_each_model_is_judged_on_the_products_it_can_see(release_dir: Path, splits_dir: Path, tmp_path: Path) -> None:
    products = pd.read_parquet(splits_dir / "test.parquet")
    bundles = [release_dir / kind for kind in ("text", "image", "fusion")]

    score = step.run(splits_dir / "test.parquet", *bundles, tmp_path / "metrics.json", tmp_path / "report.html")

    metrics = json.loads((tmp_path / "metrics.json").read_text())
    seen = {kind: metrics[kind]["items"] for kind in ("text", "image", "fusion")}
    said = (products["designation"] != "") | (products["description"] != "")
    shown = products["image_path"] != ""
    assert seen == {"text": said.sum(), "image": shown.sum(), "fusion": (said | shown).sum()}
    assert score == metrics["fusion"]["weighted_f1"]


def test_the_report_shows_texts_as_text(release_dir: Path, splits_dir: Path, tmp_path: Path) -> None:
    products = pd.read_parquet(splits_dir / "test.parquet")
    products["designation"] = "<script>alert(1)</script> " + products["designation"]
    products.to_parquet(tmp_path / "test.parquet")
    bundles = [release_dir / kind for kind in ("text", "image", "fusion")]

    step.run(tmp_path / "test.parquet", *bundles, tmp_path / "metrics.json", tmp_path / "report.html")

    assert "<script>alert" not in (tmp_path / "report.html").read_text()


def test_nothing_to_judge_by_is_an_error(release_dir: Path, splits_dir: Path, tmp_path: Path) -> None:
    pd.read_parquet(splits_dir / "test.parquet").head(0).to_parquet(tmp_path / "test.parquet")
    bundles = [release_dir / kind for kind in ("text", "image", "fusion")]

    with pytest.raises(CatalogueError, match=r"test.parquet: has no product"):
        step.run(tmp_path / "test.parquet", *bundles, tmp_path / "metrics.json", tmp_path / "report.html")
