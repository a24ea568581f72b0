"""Prepare `data/`: the challenge's files if there are any, else a sample; then the catalogue and its splits."""

import subprocess
import sys
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipelines.parameters import PARAMS, read_section
from product_classifier.catalogue.raw_files import is_challenge
from product_classifier.catalogue.sample import is_sample
from product_classifier.errors import CatalogueError, ProductClassifierError


class StageFailed(ProductClassifierError):
    """A command that prepares data ended with an error; it has said why."""


class DataSettings(BaseSettings):
    """Which data; the field's name in capitals is the variable."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True, extra="ignore", env_ignore_empty=True)

    data_dir: Path = Path("data")
    """Where everything about data lives (DATA_DIR)."""

    raw: Path | None = None
    """Folder with the challenge's files (RAW); what is in data/raw by default."""

    products: int | None = Field(default=None, ge=27)
    """Size of the sample, where one is made (PRODUCTS); params.yaml says it by default."""

    params: Path = PARAMS
    """The numbers of the steps (PARAMS)."""


def ensure_raw(settings: DataSettings) -> Path:
    """Return the folder of raw files, linked or made if need be. Files that somebody put there are never touched."""
    folder = settings.data_dir / "raw"
    if settings.raw is not None:
        _link(folder, settings.raw)
    missing = not is_challenge(folder)
    if missing or (is_sample(folder) and settings.products is not None):
        size = {} if settings.products is None else {"products": settings.products}
        _component("make_sample", settings, folder=folder, **size)
    return folder


def prepare(settings: DataSettings) -> Path:
    """Write the catalogue, its rejects and its four sides where the stages of dvc.yaml write them."""
    folder, catalogue = settings.data_dir, settings.data_dir / "catalogue.parquet"
    _component(
        "prepare_catalogue",
        settings,
        raw=ensure_raw(settings),
        catalogue=catalogue,
        rejects=folder / "rejects.csv",
        report=folder / "catalogue.json",
    )
    sides = {side: folder / "splits" / f"{side}.parquet" for side in ("train", "validation", "test", "unseen")}
    _component("split_catalogue", settings, catalogue=catalogue, report=folder / "splits" / "report.json", **sides)
    return folder / "splits"


def _link(folder: Path, raw: Path) -> None:
    """Let `folder` be a link to the raw files given; a sample makes way, it can be made again."""
    if not is_challenge(raw):
        raise CatalogueError(f"RAW={str(raw)!r} is not a folder with the challenge's product and label files")
    if folder.exists() and folder.samefile(raw):
        return
    if folder.is_symlink():
        folder.unlink()
    elif is_sample(folder):
        folder.rename(_unused(folder.with_name("sample")))
    elif folder.exists():
        raise CatalogueError(f"RAW={str(raw)!r} is given, but {str(folder)!r} holds files of its own; move them first")
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.symlink_to(raw.resolve(), target_is_directory=True)


def _unused(path: Path) -> Path:
    number = 1
    while path.exists():
        number += 1
        path = path.with_name(f"sample-{number}")
    return path


def _component(name: str, settings: DataSettings, **options: object) -> None:
    given = {**read_section(name, settings.params), **options}
    words = [word for key, value in given.items() for word in (f"--{key.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", "components", name, *words]
    if subprocess.run(command, check=False).returncode:  # noqa: S603 - our own steps
        raise StageFailed(f"{name} could not be done")
