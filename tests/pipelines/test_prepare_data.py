import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from pipelines.prepare_data import StageFailed, describe_data, ensure_raw, prepare_data
from pipelines.settings import DataSettings
from product_classifier.catalogue.challenge.sample import is_sample, make_sample
from product_classifier.errors import CatalogueError

PARAMS = Path(__file__).parents[2] / "params.yaml"


def settings(folder: Path, raw: Path | None = None, products: int | None = None) -> DataSettings:
    return DataSettings(data_dir=folder / "data", raw=raw, products=products, params=PARAMS)


@pytest.fixture
def challenge(tmp_path: Path) -> Path:
    folder = tmp_path / "downloads"
    make_sample(folder, 30, 1)
    (folder / "SAMPLE.json").unlink()
    return folder


def test_without_files_a_sample_of_the_given_size_is_made(tmp_path: Path) -> None:
    raw = ensure_raw(settings(tmp_path, products=40))

    assert (True, 40) == (is_sample(raw), len(pd.read_csv(raw / "X_train_update.csv")))


def test_an_existing_sample_is_kept_unless_another_size_is_given(tmp_path: Path) -> None:
    sizes = [
        len(pd.read_csv(ensure_raw(settings(tmp_path, products=size)) / "X_train_update.csv"))
        for size in (40, None, 50)
    ]

    assert [40, 40, 50] == sizes


def test_given_files_replace_a_sample_by_a_link(tmp_path: Path, challenge: Path) -> None:
    ensure_raw(settings(tmp_path, products=30))
    raw = ensure_raw(settings(tmp_path, raw=challenge))

    assert challenge == raw.resolve()
    assert is_sample(tmp_path / "data" / "sample")
    assert challenge == ensure_raw(settings(tmp_path)).resolve()


def test_a_size_restores_the_sample_and_leaves_the_files(tmp_path: Path, challenge: Path) -> None:
    ensure_raw(settings(tmp_path, products=30))
    ensure_raw(settings(tmp_path, raw=challenge))
    raw = ensure_raw(settings(tmp_path, products=40))

    assert (True, False, 40) == (is_sample(raw), raw.is_symlink(), len(pd.read_csv(raw / "X_train_update.csv")))
    assert not (tmp_path / "data" / "sample").exists()
    assert 30 == len(pd.read_csv(challenge / "X_train_update.csv"))


def test_a_size_is_never_ignored(tmp_path: Path, challenge: Path) -> None:
    with pytest.raises(CatalogueError, match=r"PRODUCTS=40: .* give one of the two"):
        ensure_raw(settings(tmp_path, raw=challenge, products=40))

    (tmp_path / "data").mkdir()
    challenge.rename(tmp_path / "data" / "raw")
    with pytest.raises(CatalogueError, match=r"PRODUCTS=40: .* holds files of a catalogue"):
        ensure_raw(settings(tmp_path, products=40))


def test_what_was_made_of_other_raw_files_is_deleted(tmp_path: Path, challenge: Path) -> None:
    prepare_data(settings(tmp_path, products=120))
    unseen = tmp_path / "data" / "splits" / "unseen.parquet"

    ensure_raw(settings(tmp_path, products=120))
    assert unseen.is_file()
    ensure_raw(settings(tmp_path, raw=challenge))
    assert not unseen.exists()
    assert not (tmp_path / "data" / "catalogue.parquet").exists()


def test_the_description_counts_products_rejects_and_splits(tmp_path: Path) -> None:
    prepare_data(settings(tmp_path, products=120))
    described = describe_data(settings(tmp_path))

    assert "catalogue: 120 products, 0 rejected rows (data revision " in described
    assert " unseen, in " in described


def test_other_files_in_the_folder_are_never_changed(tmp_path: Path, challenge: Path) -> None:
    folder = tmp_path / "data" / "raw"
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("notes")

    with pytest.raises(CatalogueError, match="already holds other files"):
        ensure_raw(settings(tmp_path, raw=challenge))

    assert ["notes.txt"] == [path.name for path in folder.iterdir()]


def test_a_given_folder_without_the_files_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="nowhere"):
        ensure_raw(settings(tmp_path, raw=tmp_path / "nowhere"))


def test_preparing_writes_every_split_and_all_outputs_of_the_data_stages(tmp_path: Path) -> None:
    splits = prepare_data(settings(tmp_path, products=120))

    written = {path.stem: len(pd.read_parquet(path)) for path in splits.glob("*.parquet")}
    report = json.loads((splits / "report.json").read_text())
    assert {"train", "validation", "test", "unseen"} == set(written)
    declared = yaml.safe_load((PARAMS.parent / "dvc.yaml").read_text())["stages"]
    stages = [declared[name] for name in ("raw", "prepare_catalogue", "split_catalogue")]
    outputs = [next(iter(out), "") if isinstance(out, dict) else out for stage in stages for out in stage["outs"]]
    assert all((tmp_path / path).exists() for path in outputs)
    assert all((tmp_path / path).is_file() for stage in stages for path in stage.get("metrics", []))
    assert written == {split: report[split]["products"] for split in written}


def test_a_failed_step_is_reported_with_its_name(
    tmp_path: Path, challenge: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (challenge / "X_train_update.csv").write_text("a,b\n1,2\n")

    with pytest.raises(StageFailed, match="prepare_catalogue"):
        prepare_data(settings(tmp_path, raw=challenge))

    assert "Traceback" not in capfd.readouterr().err
