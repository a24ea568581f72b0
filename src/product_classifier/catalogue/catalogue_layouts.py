"""Choose how the files of a folder are read: by `catalogue.yaml`, or as those of the challenge."""

from pathlib import Path

from product_classifier.catalogue.challenge.challenge_files import is_challenge
from product_classifier.catalogue.layout import CatalogueLayout
from product_classifier.catalogue.layout_file import FILE_NAME, read_layout
from product_classifier.catalogue.tables.table_files import list_files
from product_classifier.errors import CatalogueError


def find_layout(folder: Path, layout_file: Path | None = None) -> CatalogueLayout | None:
    """Return the layout of the files in a folder; None for the built-in layout of the challenge.

    Args:
        folder: Folder of the raw files.
        layout_file: A layout elsewhere; by default `catalogue.yaml` in the folder.

    Raises:
        CatalogueError: If the folder is missing or has neither, or the layout is invalid.
    """
    if not folder.is_dir():
        raise CatalogueError(f"raw data folder {str(folder)!r} does not exist; correct RAW")
    if layout_file is not None or (folder / FILE_NAME).is_file():
        return read_layout(layout_file or folder / FILE_NAME)
    if is_challenge(folder):
        return None
    raise CatalogueError(
        f"{str(folder)!r} has no {FILE_NAME}, and its files are not those of the challenge ({list_files(folder)});"
        f" run `make inspect RAW={folder} WRITE=1`, which proposes one"
    )


def is_catalogue(folder: Path) -> bool:
    """Return whether a folder has a layout or files of the challenge."""
    return (folder / FILE_NAME).is_file() or is_challenge(folder)
