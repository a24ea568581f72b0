"""Prepare the data folder: raw files or a sample catalogue, the cleaned catalogue and its splits."""

import subprocess
import sys
from pathlib import Path

from pipelines.parameters import read_section
from pipelines.settings import DataSettings
from product_classifier.catalogue.raw_files import is_challenge
from product_classifier.catalogue.sample import is_sample
from product_classifier.catalogue.splits import SPLITS
from product_classifier.errors import CatalogueError, ProductClassifierError


class StageFailed(ProductClassifierError):
    """A step that prepares data failed; it has printed its error."""


def ensure_raw(settings: DataSettings) -> Path:
    """Return the folder of raw files, after linking or making them if necessary.

    A given folder is linked; without files a sample catalogue is made. A sample of another size than
    requested is replaced. Files that are no sample are never changed.
    """
    folder = settings.data_dir / "raw"
    if settings.raw is not None:
        _link(folder, settings.raw)
    if not is_challenge(folder) or (is_sample(folder) and settings.products is not None):
        size = {} if settings.products is None else {"products": settings.products}
        _run_step("make_sample", settings, folder=folder, **size)
    return folder


def prepare_data(settings: DataSettings) -> Path:
    """Write catalogue, rejected rows and splits to the paths in dvc.yaml; return the folder of the splits."""
    folder, catalogue = settings.data_dir, settings.data_dir / "catalogue.parquet"
    _run_step(
        "prepare_catalogue",
        settings,
        raw=ensure_raw(settings),
        catalogue=catalogue,
        rejects=folder / "rejects.csv",
        report=folder / "catalogue.json",
    )
    splits = folder / "splits"
    files = {name: splits / f"{name}.parquet" for name in SPLITS}
    _run_step("split_catalogue", settings, catalogue=catalogue, report=splits / "report.json", **files)
    return splits


def _link(folder: Path, raw: Path) -> None:
    """Make `folder` a link to the raw files; a sample catalogue there is moved aside."""
    if not is_challenge(raw):
        raise CatalogueError(f"RAW={str(raw)!r}: no folder with product and label files of the challenge")
    if folder.exists() and folder.samefile(raw):
        return
    if folder.is_symlink():
        folder.unlink()
    elif is_sample(folder):
        folder.rename(_unused(folder.with_name("sample")))
    elif folder.exists():
        raise CatalogueError(f"RAW={str(raw)!r}: {str(folder)!r} already holds other files; move them first")
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.symlink_to(raw.resolve(), target_is_directory=True)


def _unused(path: Path) -> Path:
    """Return the path, or the first of sample-2, sample-3 … that does not exist."""
    number = 1
    while path.exists():
        number += 1
        path = path.with_name(f"sample-{number}")
    return path


def _run_step(step: str, settings: DataSettings, **options: object) -> None:
    """Run a step in its own process, with its section of the parameters file and the given options."""
    values = {**read_section(step, settings.params), **options}
    arguments = [argument for name, value in values.items() for argument in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", "components", step, *arguments]
    if subprocess.run(command, check=False).returncode:  # noqa: S603 - a step of this repository
        raise StageFailed(f"{step} failed; its error is printed above")
