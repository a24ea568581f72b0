"""The products of a file or folder to score: every row in order, with or without a category."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from product_classifier.catalogue.catalogue_rows import RejectedRow, shorten
from product_classifier.catalogue.challenge.challenge_files import (
    INDEX,
    PHOTO_FOLDERS,
    PRODUCT_COLUMNS,
    UNLABELLED_PHOTO_FOLDERS,
    find_photos,
    first_product_file,
    has_product_columns,
    read_rows,
)
from product_classifier.catalogue.layout import CatalogueLayout
from product_classifier.catalogue.layout_file import FILE_NAME, read_layout
from product_classifier.catalogue.product_cells import PhotoLocator, read_id, read_images, read_texts
from product_classifier.catalogue.tables.columns import ColumnPositions
from product_classifier.catalogue.tables.table_files import find_product_files, open_table
from product_classifier.errors import CatalogueError
from product_classifier.limits import DESCRIPTION_CHARACTERS, DESIGNATION_CHARACTERS
from product_classifier.text.mojibake import repair
from product_classifier.text.normalization import has_words


class SourceProduct(NamedTuple):
    """One product to score."""

    file: str
    line: int
    """Line of a text file, row of a spreadsheet, or number of the record from 1."""
    product_id: str
    designation: str
    description: str
    photo: str
    """Path of its photo relative to the folder, or its URL; empty without one."""
    note: str = ""
    """Why it has no photo although its row names one."""


class ScoringSource(Protocol):
    """Where products come from."""

    layout: str
    """Digest of how the columns are read."""
    paths: list[Path]
    """Files of the products."""

    def rows(self) -> Iterator[SourceProduct | RejectedRow]:
        """Yield each product and each row that is none, in the order of the files."""


def open_source(folder: Path, name: str = "", layout_file: Path | None = None) -> ScoringSource:
    """Open the products of a folder, or of one file in it.

    Args:
        folder: Folder with `catalogue.yaml`, or with files of the challenge.
        name: Name of the file; empty for those that the layout names.
        layout_file: A layout elsewhere; by default `catalogue.yaml` in the folder.

    Raises:
        CatalogueError: If a file or a column is missing, or nothing says which column is which.
    """
    if not folder.is_dir() or (name and not (folder / name).is_file()):
        raise CatalogueError(f"SOURCE: there is no {str(folder / name)!r}; correct the path")
    if layout_file is not None or (folder / FILE_NAME).is_file():
        layout = read_layout(layout_file or folder / FILE_NAME)
        return LayoutProducts(folder, layout.model_copy(update={"products": [name]}) if name else layout)
    path = folder / name if name else first_product_file(folder)
    if path is None or not has_product_columns(path):
        raise CatalogueError(
            f"SOURCE: {str(folder / name)!r} has no {FILE_NAME} beside it, which says what its columns are;"
            f" run `make inspect RAW={folder} WRITE=1`, which proposes one, or name one with CATALOGUE="
        )
    return ChallengeProducts(folder, path)


class LayoutProducts:
    """The products of files whose columns a layout names; a column of categories is not read."""

    def __init__(self, folder: Path, layout: CatalogueLayout) -> None:
        """Locate files and columns; raise `CatalogueError` if one is missing."""
        self.layout = hashlib.sha256(layout.model_dump_json().encode()).hexdigest()
        self.paths = find_product_files(folder, layout)
        tables = [open_table(path, layout) for path in self.paths]
        self._tables = [(table, ColumnPositions(layout, table, labelled=False)) for table in tables]
        self._columns = layout.columns
        self._photos = PhotoLocator(folder, layout)

    def rows(self) -> Iterator[SourceProduct | RejectedRow]:
        """Yield each product and each row that is none."""
        text_field = str(self._columns.image if self._columns.designation is None else self._columns.designation)
        for table, positions in self._tables:
            for row in table.rows():
                if row.problem:
                    value = shorten("".join(map(str, row.cells)).strip())
                    yield RejectedRow(table.file, row.line, "row", value, row.problem)
                    continue
                product_id = read_id(row.cells, positions) or f"{table.file}:{row.line}"
                designation, description = read_texts(row.cells, positions)
                images = read_images(row.cells, positions)
                photo = self._photos.locate(images[0]) if images else ""
                note = f"photo {shorten(images[0])} not found" if images and not photo else ""
                product = SourceProduct(table.file, row.line, product_id, designation, description, photo, note)
                yield _checked(product, text_field, str(self._columns.description))


class ChallengeProducts:
    """The products of a file with the columns of the challenge, labelled or not."""

    layout = "challenge"

    def __init__(self, folder: Path, path: Path) -> None:
        self.paths = [path]
        self._folder = folder
        self._photos = find_photos(folder, (*PHOTO_FOLDERS, *UNLABELLED_PHOTO_FOLDERS))

    def rows(self) -> Iterator[SourceProduct | RejectedRow]:
        """Yield each product and each row that is none."""
        path = self.paths[0]
        file = path.name
        for row in read_rows(path, PRODUCT_COLUMNS):
            if row.problem:
                yield RejectedRow(file, row.line, "row", shorten(row.fields.get(INDEX, "")), row.problem)
                continue
            product_id, image_id = row.fields["productid"].strip(), row.fields["imageid"].strip()
            found = self._photos.get(f"image_{image_id}_product_{product_id}")
            photo = found.relative_to(self._folder).as_posix() if found else ""
            texts = repair(row.fields["designation"]), repair(row.fields["description"])
            product = SourceProduct(file, row.line, product_id or f"{file}:{row.line}", *texts, photo)
            yield _checked(product, "designation", "description")


def _checked(product: SourceProduct, designation: str, description: str) -> SourceProduct | RejectedRow:
    """Return a product within the limits of requests; else why its row is rejected."""
    place = product.file, product.line
    for field, text, limit in (
        (designation, product.designation, DESIGNATION_CHARACTERS),
        (description, product.description, DESCRIPTION_CHARACTERS),
    ):
        if len(text) > limit:
            return RejectedRow(*place, field, shorten(text), f"has {len(text):,} characters, {limit:,} are accepted")
    if not product.photo and not has_words(product.designation, product.description):
        reason = product.note or "neither text nor photo"
        return RejectedRow(*place, designation, shorten(product.designation), reason)
    return product
