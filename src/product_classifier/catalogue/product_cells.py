"""Texts and photos of a product in the cells of a row."""

from collections.abc import Sequence
from pathlib import Path

from product_classifier.catalogue.categories import clean, first_of_list, list_items
from product_classifier.catalogue.layout import CatalogueLayout
from product_classifier.catalogue.photo_folder import PhotoFolder, is_remote, is_url
from product_classifier.catalogue.tables.columns import ColumnPositions
from product_classifier.text.mojibake import repair

Cells = Sequence[str | None]


def read_id(cells: Cells, positions: ColumnPositions) -> str:
    """Return the id of a product; empty without one, or without a column of ids."""
    return "" if positions.id is None else clean(first_of_list(cells[positions.id]))


def read_texts(cells: Cells, positions: ColumnPositions) -> tuple[str, str]:
    """Return designation, with the values of the extra columns, and description."""
    columns = positions.extra if positions.designation is None else (positions.designation, *positions.extra)
    designation = " ".join(filter(None, [repair(first_of_list(cells[at])) for at in columns]))
    return designation, "" if positions.description is None else repair(cells[positions.description] or "")


def read_images(cells: Cells, positions: ColumnPositions) -> list[str]:
    """Return the photos that a row names, the one that decides first."""
    return [] if positions.image is None else list(list_items(cells[positions.image]))


class PhotoLocator:
    """Finds the photos that the cells of a catalogue name."""

    def __init__(self, folder: Path, layout: CatalogueLayout) -> None:
        """Take the folder of the files; its photos are listed at the first use.

        Raises:
            CatalogueError: If the folder of photos is not there.
        """
        images = layout.images or ""
        self._prefix = f"{images.rstrip('/')}/" if is_remote(images) else ""
        with_folder = layout.columns.image is not None and not self._prefix
        self._photos = PhotoFolder(folder, images) if with_folder else None

    def locate(self, image: str) -> str:
        """Return the URL of a photo, or its path relative to the folder; empty if there is none."""
        if is_url(image):
            return image
        if self._prefix:
            return self._prefix + image.lstrip("/")
        return self._photos.find(image) if self._photos is not None else ""
