import json
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from components.evaluate import step
from components.fit_fusion import step as fit_fusion
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.catalogue.product_table import read_products
from product_classifier.errors import CatalogueError
from product_classifier.taxonomy import Category, Taxonomy


def evaluate(test: Path, raw: Path, release: Path, folder: Path, taxonomy: Taxonomy = CHALLENGE) -> float:
    bundles = {kind: release / kind for kind in ("text", "image", "fusion")}
    outputs = {"metrics": folder / "metrics.json", "report": folder / "report.html"}
    files = {"summary": folder / "summary.json", "plots": folder / "plots"}
    return step.run(test, raw, **bundles, **outputs, **files, taxonomy=taxonomy)


def test_each_model_is_evaluated_on_the_products_with_its_modality(
    release_dir: Path, splits_dir: Path, tmp_path: Path
) -> None:
    products = pd.read_parquet(splits_dir / "test.parquet")

    score = evaluate(splits_dir / "test.parquet", splits_dir, release_dir, tmp_path)

    metrics = json.loads((tmp_path / "metrics.json").read_text())
    items = {kind: metrics[kind]["items"] for kind in ("text", "image", "fusion")}
    has_text = (products["designation"] != "") | (products["description"] != "")
    has_image = products["image_path"] != ""
    assert items == {"text": has_text.sum(), "image": has_image.sum(), "fusion": (has_text | has_image).sum()}
    assert score == metrics["fusion"]["weighted_f1"]


def test_the_files_for_experiments_agree_with_the_scores(release_dir: Path, splits_dir: Path, tmp_path: Path) -> None:
    evaluate(splits_dir / "test.parquet", splits_dir, release_dir, tmp_path)

    metrics, summary = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("metrics", "summary"))
    for kind in ("text", "image", "fusion"):
        assert summary[kind]["weighted_f1"] == pytest.approx(metrics[kind]["weighted_f1"], abs=1e-4)
    predicted = pd.read_csv(tmp_path / "plots" / "predictions.csv")
    right = (predicted["actual"] == predicted["predicted"]).mean()
    assert metrics["fusion"]["accuracy"] == pytest.approx(right)
    categories = pd.read_csv(tmp_path / "plots" / "categories.csv")
    assert metrics["fusion"]["items"] == categories["items"].sum() == len(predicted)


def test_photos_named_by_absolute_paths_are_read_wherever_the_raw_folder_is(
    release_dir: Path, splits_dir: Path, tmp_path: Path
) -> None:
    """Splits and the unseen products of releases made by earlier versions hold absolute paths."""
    products = pd.read_parquet(splits_dir / "test.parquet")
    relative = evaluate(splits_dir / "test.parquet", splits_dir, release_dir, tmp_path)
    products["image_path"] = [path and str(splits_dir / path) for path in products["image_path"]]
    products.to_parquet(tmp_path / "test.parquet")

    assert relative == evaluate(tmp_path / "test.parquet", tmp_path / "elsewhere", release_dir, tmp_path)


def test_the_report_escapes_texts(release_dir: Path, splits_dir: Path, tmp_path: Path) -> None:
    products = pd.read_parquet(splits_dir / "test.parquet")
    products["designation"] = "<script>alert(1)</script> " + products["designation"]
    products.to_parquet(tmp_path / "test.parquet")

    evaluate(tmp_path / "test.parquet", splits_dir, release_dir, tmp_path)

    assert "<script>alert" not in (tmp_path / "report.html").read_text()


def test_a_product_of_a_category_that_is_too_small_counts_as_the_one_above(
    release_dir: Path, splits_dir: Path, tmp_path: Path
) -> None:
    score = evaluate(splits_dir / "test.parquet", splits_dir, release_dir, tmp_path)
    products = read_products(splits_dir / "test.parquet")
    parent = products["code"].mode()[0]
    small = Category("too small", parent=parent)
    taxonomy = replace(CHALLENGE, categories=(*CHALLENGE.categories, small), code_type="string")
    products["code"] = products["code"].replace(parent, small.code)
    products.to_parquet(tmp_path / "test.parquet")

    assert score == evaluate(tmp_path / "test.parquet", splits_dir, release_dir, tmp_path, taxonomy)


def test_calibration_and_coverage_are_those_of_the_predictions(
    release_dir: Path, splits_dir: Path, tmp_path: Path
) -> None:
    evaluate(splits_dir / "test.parquet", splits_dir, release_dir, tmp_path)

    found = json.loads((tmp_path / "metrics.json").read_text())
    bins, points, fusion = found["calibration"], found["coverage"], found["fusion"]
    assert fusion["items"] == sum(one["items"] for one in bins)
    assert fusion["accuracy"] == pytest.approx(sum(one["items"] * one["accuracy"] for one in bins) / fusion["items"])
    assert all(one["low"] <= one["confidence"] <= one["high"] for one in bins)
    shares = [one["coverage"] for one in points]
    assert shares == sorted(shares, reverse=True)
    assert {0.99: fusion["coverage_at_99"]}.items() <= {one["precision"]: one["coverage"] for one in points}.items()


def test_without_photos_the_page_has_no_scores_of_the_image_model(
    release_dir: Path, splits_dir: Path, tmp_path: Path
) -> None:
    pd.read_parquet(splits_dir / "test.parquet").assign(image_path="").to_parquet(tmp_path / "test.parquet")

    evaluate(tmp_path / "test.parquet", splits_dir, release_dir, tmp_path)

    page = (tmp_path / "report.html").read_text()
    assert re.search(r">image</td><td>0</td>\s*(<td>–</td>){5}", page)
    assert 4 == len(re.findall(r"</td><td>0</td>\s*<td>–</td>", page)), "image, and the three where both"


def test_the_answers_at_categories_above_are_counted(release_dir: Path, splits_dir: Path, tmp_path: Path) -> None:
    roots = [Category(f"branch {number}") for number in range(3)]
    below = [replace(one, parent=roots[number % 3].code) for number, one in enumerate(CHALLENGE.categories)]
    tree = replace(CHALLENGE, categories=(*roots, *below), code_type="string")
    names = ("train", "validation", "text_out_of_fold", "image_out_of_fold")
    fit_fusion.run(*(splits_dir / f"{name}.parquet" for name in names), tmp_path / "fusion", tree)

    outputs = {"metrics": tmp_path / "metrics.json", "report": tmp_path / "report.html"}
    models = {"text": release_dir / "text", "image": release_dir / "image", "fusion": tmp_path / "fusion"}
    step.run(splits_dir / "test.parquet", splits_dir, **models, **outputs, taxonomy=tree)

    found = json.loads((tmp_path / "metrics.json").read_text())
    above, scored = found["answered_above"], found["fusion"]
    assert above["items"] == round(scored["items"] * (1 - scored["accepted_coverage"]))
    assert 0 <= above["correct"] <= above["accepted"] <= above["items"]
    assert f"{above['accepted']} of the {above['items']} others" in (tmp_path / "report.html").read_text()


def test_an_empty_hold_out_is_an_error(release_dir: Path, splits_dir: Path, tmp_path: Path) -> None:
    pd.read_parquet(splits_dir / "test.parquet").head(0).to_parquet(tmp_path / "test.parquet")

    with pytest.raises(CatalogueError, match=r"test.parquet: has no product"):
        evaluate(tmp_path / "test.parquet", splits_dir, release_dir, tmp_path)


def test_a_small_category_counts_for_the_one_above_it_and_an_unlearned_one_is_reported(
    release_dir: Path, splits_dir: Path, tmp_path: Path
) -> None:
    first = CHALLENGE.codes[0]
    tree = replace(
        CHALLENGE,
        categories=(
            *CHALLENGE.categories,
            Category("7", parent=first),
            Category("8"),
        ),
    )
    products = pd.read_parquet(splits_dir / "test.parquet")
    products["code"] = products["code"].astype(str)
    of_first = products.index[products["code"] == first]
    others = products.index[products["code"] != first][:3]
    products.loc[of_first, "code"] = "7"
    products.loc[others, "code"] = "8"
    products.to_parquet(tmp_path / "test.parquet")
    bundles = {kind: release_dir / kind for kind in ("text", "image", "fusion")}

    step.run(
        tmp_path / "test.parquet",
        splits_dir,
        **bundles,
        metrics=tmp_path / "metrics.json",
        report=tmp_path / "report.html",
        taxonomy=tree,
    )

    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert {"8": 3} == metrics["unlearned"]
    assert len(of_first) == metrics["by_category"][first]["items"]
    assert "3 products of 1 categories are left out" in (tmp_path / "report.html").read_text()
