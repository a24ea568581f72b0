"""Prepare the data folder: raw files or a sample catalogue, the cleaned catalogue and its splits."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from pipelines.parameters import read_section
from pipelines.settings import DataSettings, PipelineSettings
from product_classifier.catalogue.catalogue_layouts import find_layout, is_catalogue
from product_classifier.catalogue.challenge.sample import MARKER, is_sample
from product_classifier.catalogue.splits import SPLITS
from product_classifier.errors import CatalogueError, ProductClassifierError
from product_classifier.settings_reader import read_settings


class StageFailed(ProductClassifierError):
    """A step that prepares data failed; it has printed its error."""


def ensure_raw(settings: DataSettings) -> Path:
    """Return the folder of raw files, after linking or making them if necessary.

    A given folder is linked; without files a sample catalogue is made. A sample of another size than requested is
    replaced, and replaces a link. Files that are no sample are never changed. What was made of other raw files is
    deleted: the simulation would send products whose photos are not there.
    """
    folder = settings.data_dir / "raw"
    before = _identity(folder)
    if settings.raw is not None:
        if settings.products is not None:
            raise CatalogueError(
                f"PRODUCTS={settings.products}: sets the size of a sample, but RAW={str(settings.raw)!r} names files;"
                " give one of the two"
            )
        _link(folder, settings.raw, settings.catalogue)
    elif settings.products is not None:
        _unlink(folder, settings.products)
    if _is_empty(folder) or (is_sample(folder) and (settings.products is not None or not is_catalogue(folder))):
        size = {} if settings.products is None else {"products": settings.products}
        sys.stdout.write(_run_step("make_sample", settings, folder=folder, **size))
        sys.stdout.flush()
    find_layout(folder, settings.catalogue)
    if _identity(folder) != before:
        _remove_derived(settings.data_dir)
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
        unlabelled=folder / "unlabelled.parquet",
        taxonomy=folder / "taxonomy",
        store=read_settings(PipelineSettings).store,
        photos=folder,
        private_photos=settings.private_photos,
        **({} if settings.catalogue is None else {"layout": settings.catalogue}),
    )
    splits = folder / "splits"
    files = {name: splits / f"{name}.parquet" for name in SPLITS}
    _run_step("split_catalogue", settings, catalogue=catalogue, report=splits / "report.json", **files)
    return splits


def describe_data(settings: DataSettings) -> str:
    """Return what `prepare_data` wrote, in two lines."""
    folder = settings.data_dir
    catalogue = json.loads((folder / "catalogue.json").read_text(encoding="utf-8"))
    splits = json.loads((folder / "splits" / "report.json").read_text(encoding="utf-8"))
    counts = ", ".join(f"{splits[split]['products']:,} {split}" for split in SPLITS)
    revision = catalogue["data_revision"][:12]
    return (
        f"catalogue: {catalogue['products']:,} products, {catalogue['rejected']:,} rejected rows"
        f" (data revision {revision}), in {folder}\nsplits: {counts}, in {folder / 'splits'}"
    )


def _identity(folder: Path) -> tuple[Path, str]:
    """Return what tells the raw files of a folder from others: where they are, and which sample they are."""
    mark = folder / MARKER
    return folder.resolve(), mark.read_text(encoding="utf-8") if mark.is_file() else ""


def _is_empty(folder: Path) -> bool:
    """Return whether a folder is missing or has hidden files only."""
    return not folder.is_dir() or all(entry.name.startswith(".") for entry in folder.iterdir())


def _remove_derived(data: Path) -> None:
    for name in ("catalogue.parquet", "unlabelled.parquet", "rejects.csv", "catalogue.json"):
        (data / name).unlink(missing_ok=True)
    for name in ("splits", "taxonomy"):
        shutil.rmtree(data / name, ignore_errors=True)


def _unlink(folder: Path, products: int) -> None:
    """Replace a link to raw files by the sample that was moved aside for it, if there is one."""
    if folder.is_symlink():
        folder.unlink()
        if is_sample(aside := folder.with_name("sample")):
            aside.rename(folder)
    elif is_catalogue(folder) and not is_sample(folder):
        raise CatalogueError(
            f"PRODUCTS={products}: {str(folder)!r} holds files of a catalogue and no sample; move them first,"
            " or leave PRODUCTS out"
        )


def _link(folder: Path, raw: Path, layout: Path | None) -> None:
    """Make `folder` a link to the raw files; a sample catalogue there is moved aside."""
    find_layout(raw, layout)
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


def _run_step(step: str, settings: DataSettings, **options: object) -> str:
    """Run a step in its own process, with its section of the parameters file and options; return what it prints."""
    values = {**read_section(step, settings.params), **options}
    arguments = [argument for name, value in values.items() for argument in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", "components", step, *arguments]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)  # noqa: S603 - a step of this repository
    if done.returncode:
        raise StageFailed(f"{step} failed; its error is printed above")
    return done.stdout
