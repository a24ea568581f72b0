import csv
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from pipelines.__main__ import main
from pipelines.inspect_data import inspect_data
from pipelines.prepare_data import describe_data, ensure_raw, prepare_data
from pipelines.settings import DataSettings
from product_classifier.catalogue.catalogue_layouts import find_layout
from product_classifier.catalogue.challenge.sample import make_sample
from product_classifier.errors import CatalogueError
from product_classifier.taxonomy.folder import read_taxonomy

PARAMS = Path(__file__).parents[2] / "params.yaml"
KINDS = ("Kettle", "Phone", "Chair")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with products of three categories and one without a category."""
    folder = tmp_path / "shop"
    folder.mkdir()
    rows = [(f"p{at}", f"{KINDS[at % 3]} of steel number {at}", KINDS[at % 3] + "s") for at in range(90)]
    with (folder / "offers.csv").open("w", newline="") as file:
        csv.writer(file, delimiter=";").writerows([("sku", "title", "category"), *rows, ("p90", "Unknown thing", "")])
    return folder


def settings(folder: Path, raw: Path, **values: object) -> DataSettings:
    return DataSettings.model_validate({"data_dir": folder / "data", "raw": raw, "params": PARAMS, **values})


def test_the_first_command_of_the_readme_writes_a_layout_that_the_second_reads(tmp_path: Path, shop: Path) -> None:
    readme = (PARAMS.parent / "README.md").read_text(encoding="utf-8")
    first, second = re.findall(r"^make \w+ RAW=\.\./shop.*$", readme, re.MULTILINE)
    command = [*shlex.split(first.replace("../shop", str(shop))), f"PY={sys.executable}", "INSTALLED="]

    subprocess.run(command, cwd=PARAMS.parent, check=True, capture_output=True)

    assert "make run RAW=../shop" == second
    assert find_layout(shop) is not None
    assert ensure_raw(settings(tmp_path, shop)).samefile(shop)


def test_a_written_proposal_is_all_that_the_data_need(tmp_path: Path, shop: Path) -> None:
    lines = list(inspect_data(settings(tmp_path, shop, write=True)))

    splits = prepare_data(settings(tmp_path, shop))

    assert "products: 91, 1 of them without a category; rejected rows: 0" in lines
    assert 90 == sum(len(pd.read_parquet(path)) for path in splits.glob("*.parquet"))
    assert ["p90"] == list(pd.read_parquet(tmp_path / "data" / "unlabelled.parquet")["product_id"])
    assert ("Kettles", "Phones", "Chairs") == read_taxonomy(tmp_path / "data" / "taxonomy").codes
    assert describe_data(settings(tmp_path, shop)).startswith("catalogue: 90 products, 0 rejected rows")
    assert "read by catalogue.yaml" in next(inspect_data(settings(tmp_path, shop)))


def test_a_layout_elsewhere_serves_a_folder_that_cannot_be_written(tmp_path: Path, shop: Path) -> None:
    layout = tmp_path / "shop.yaml"
    list(inspect_data(settings(tmp_path, shop, write=True, catalogue=layout)))

    prepare_data(settings(tmp_path, shop, catalogue=layout))

    assert ["offers.csv"] == [path.name for path in shop.iterdir()]
    assert 90 == len(pd.read_parquet(tmp_path / "data" / "catalogue.parquet"))


def test_a_layout_is_never_replaced(tmp_path: Path, shop: Path) -> None:
    (shop / "catalogue.yaml").write_text("mine")

    with pytest.raises(CatalogueError, match=r"catalogue\.yaml: exists and is not replaced; delete it"):
        list(inspect_data(settings(tmp_path, shop, write=True)))


def test_files_without_a_layout_are_one_error_that_names_the_inspection(tmp_path: Path, shop: Path) -> None:
    with pytest.raises(
        CatalogueError, match=r"has no catalogue\.yaml.* \(offers\.csv\); run `make inspect RAW=\S+shop"
    ):
        ensure_raw(settings(tmp_path, shop))


def test_the_challenges_files_need_no_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_sample(tmp_path / "raw", 60, 1)

    assert 0 == main(["inspect", "--raw", str(tmp_path / "raw")])

    shown = capsys.readouterr().out
    assert "files of the challenge, which need no catalogue.yaml" in shown
    assert "products: 60, 0 of them without a category" in shown


def test_a_missing_folder_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == main(["inspect", "--raw", str(tmp_path / "nowhere")])

    assert "nowhere': there is no such folder; correct the path" in capsys.readouterr().err
