"""Tests of `make run RAW=`: the state of each catalogue is kept, and that of another is never served."""

from pathlib import Path

import pytest

from operations.local.catalogue_state import ENTRIES, SWITCH, activate_catalogue
from operations.local.settings import Settings
from product_classifier.errors import CatalogueError, InvalidSettings

LAYOUT = "products: [a.csv]\ncolumns: {designation: title, category: code}\n"


def folder(root: Path, name: str) -> Path:
    (root / name).mkdir()
    (root / name / "catalogue.yaml").write_text(LAYOUT)
    return root / name


def activate(root: Path, raw: Path | None, **given: str) -> None:
    settings = Settings(state_dir=root / "run", data_dir=root / "data", raw=raw, **given)
    settings.state_dir.mkdir(exist_ok=True)
    activate_catalogue(settings)


def champion(root: Path, release: str = "") -> str:
    """Return the release in service, after making `release` that."""
    path = root / "run" / "releases" / "champion"
    if release:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(release)
    return path.read_text() if path.exists() else ""


def test_each_catalogue_has_its_own_releases_and_both_are_kept(tmp_path: Path) -> None:
    tea, wine = folder(tmp_path, "tea"), folder(tmp_path, "wine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "accounts.json").write_text("{}")

    activate(tmp_path, tea)
    champion(tmp_path, "of tea")
    activate(tmp_path, wine)
    assert champion(tmp_path) == ""
    champion(tmp_path, "of wine")
    activate(tmp_path, tea)
    assert champion(tmp_path) == "of tea"
    activate(tmp_path, None)
    assert champion(tmp_path) == "of tea"
    activate(tmp_path, wine)
    assert champion(tmp_path) == "of wine"
    assert (tmp_path / "run" / "accounts.json").is_file()


@pytest.mark.parametrize("other", ["link", "sample"])
def test_a_state_is_not_served_with_the_files_of_another_catalogue(tmp_path: Path, other: str) -> None:
    tea, raw = folder(tmp_path, "tea"), tmp_path / "data" / "raw"
    activate(tmp_path, tea)
    champion(tmp_path, "of tea")
    activate(tmp_path, None)  # the data folder is empty
    raw.parent.mkdir()
    if other == "link":
        raw.symlink_to(folder(tmp_path, "wine"))
    else:
        raw.mkdir()

    with pytest.raises(InvalidSettings, match=r"RAW: .*data/raw' is now .*tea'; name one of the two with RAW="):
        activate(tmp_path, None)
    activate(tmp_path, tea)
    assert champion(tmp_path) == "of tea"


@pytest.mark.parametrize("moved", range(len(ENTRIES)))
def test_an_interrupted_switch_is_completed(tmp_path: Path, moved: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tea, wine = folder(tmp_path, "tea"), folder(tmp_path, "wine")
    activate(tmp_path, tea)
    for name in ENTRIES[1:]:
        (tmp_path / "run" / name).mkdir()
    rename, done = Path.rename, list[Path]()

    def interrupted(source: Path, target: Path) -> Path:
        if len(done) == moved:
            raise KeyboardInterrupt
        done.append(source)
        return rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", interrupted)
        with pytest.raises(KeyboardInterrupt):
            activate(tmp_path, wine)
    activate(tmp_path, tea)

    assert all((tmp_path / "run" / name).exists() for name in ENTRIES)
    assert not (tmp_path / "run" / SWITCH).exists()


def test_the_state_of_a_prepared_catalogue_stays_when_no_record_says_whose_it_is(tmp_path: Path) -> None:
    tea = folder(tmp_path, "tea")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "raw").symlink_to(tea)
    champion(tmp_path, "of tea")

    activate(tmp_path, tea)

    assert champion(tmp_path) == "of tea"


def test_a_folder_without_a_catalogue_moves_nothing(tmp_path: Path) -> None:
    activate(tmp_path, folder(tmp_path, "tea"))
    champion(tmp_path, "of tea")

    with pytest.raises(CatalogueError, match="does not exist"):
        activate(tmp_path, tmp_path / "nowhere")
    assert champion(tmp_path) == "of tea"


def test_a_given_store_is_not_shared_by_two_catalogues(tmp_path: Path) -> None:
    activate(tmp_path, folder(tmp_path, "tea"))

    with pytest.raises(InvalidSettings, match="STORE_URL: s3://shop is the store of another catalogue"):
        activate(tmp_path, folder(tmp_path, "wine"), STORE_URL="s3://shop")
