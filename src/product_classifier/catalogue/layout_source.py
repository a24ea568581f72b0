"""Read the products of a catalogue whose layout `catalogue.yaml` states."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from product_classifier.catalogue.catalogue_rows import CatalogueRow, Progress, RejectedRow, shorten
from product_classifier.catalogue.categories import (
    CategoryCells,
    Place,
    UnusableCell,
    clean,
    first_of_list,
    is_scientific,
    scientific_notation,
)
from product_classifier.catalogue.category_labels import CategoryLabels
from product_classifier.catalogue.category_tree import build_taxonomy
from product_classifier.catalogue.layout import CatalogueLayout
from product_classifier.catalogue.product_cells import PhotoLocator, read_id, read_images, read_texts
from product_classifier.catalogue.tables.columns import ColumnPositions
from product_classifier.catalogue.tables.table import Table, TableRow
from product_classifier.catalogue.tables.table_files import find_product_files, find_table_files, open_table
from product_classifier.taxonomy.tree import Taxonomy
from product_classifier.text.normalization import has_words

_PROGRESS_ROWS: Final = 10_000


class LayoutSource:
    """The products of a folder with `catalogue.yaml`."""

    def __init__(self, folder: Path, layout: CatalogueLayout) -> None:
        """Locate files and columns, and read the labels file.

        Raises:
            CatalogueError: If a file or a column is missing, or the labels file cannot be used.
        """
        self.layout = layout
        self.labels = None
        if layout.labels is not None:
            self.labels = CategoryLabels(find_table_files(folder, [layout.labels])[0], layout)
        tables = [open_table(path, layout) for path in find_product_files(folder, layout)]
        self.tables = [(table, ColumnPositions(layout, table)) for table in tables]
        self.cells = CategoryCells(layout, self.labels)
        self.photo_field = str(layout.columns.image)
        self._photos = PhotoLocator(folder, layout)
        self._ids: dict[str, tuple[int, int]] = {}
        self._id_column = "" if layout.columns.id is None else str(layout.columns.id)

    def rows(self, progress: Progress = lambda _task, _done, _total: None) -> Iterator[CatalogueRow | RejectedRow]:
        """Yield each product, with or without a category, and each rejected row; photos are not read."""
        done = 0
        for number, (table, positions) in enumerate(self.tables):
            for row in table.rows():
                yield self._product(number, table, positions, row)
                done += 1
                if done % _PROGRESS_ROWS == 0:
                    progress("read products", done, 0)
        progress("read products", done, done)

    def taxonomy(self) -> Taxonomy:
        """Return the taxonomy of the products read so far; see `build_taxonomy`."""
        return build_taxonomy(self.cells.counts, self.layout, self.labels)

    def _product(
        self, number: int, table: Table, positions: ColumnPositions, row: TableRow
    ) -> CatalogueRow | RejectedRow:
        if row.problem:
            return RejectedRow(table.file, row.line, "row", shorten("".join(map(str, row.cells)).strip()), row.problem)
        cells = row.cells

        product_id = read_id(cells, positions) if positions.id is not None else f"{table.file}:{row.line}"
        if problem := self._id_problem(number, table, row, product_id):
            return RejectedRow(table.file, row.line, self._id_column or "id", shorten(product_id), problem)
        designation, description = read_texts(cells, positions)
        images = read_images(cells, positions)
        image_path = self._photos.locate(images[0]) if images else ""
        if not image_path and not has_words(designation, description):
            field = str(self.layout.columns.designation if positions.designation is not None else self.photo_field)
            return RejectedRow(table.file, row.line, field, shorten(designation), "neither text nor photo")
        category_cells = [cells[at] for at in positions.category]
        place = Place(table.file, row.line, _column_name(table, positions.category))
        try:
            code = self.cells.read(category_cells, place)
        except UnusableCell as error:
            return RejectedRow(
                table.file, row.line, place.column, shorten(" > ".join(filter(None, category_cells))), str(error)
            )
        self._ids[product_id] = (number, row.line)
        others = json.dumps(images[1:], ensure_ascii=False) if len(images) > 1 else ""
        group = "" if positions.group is None else clean(first_of_list(cells[positions.group]))
        return CatalogueRow(
            product_id, designation, description, image_path, code, row.line, "", table.file, group, others
        )

    def _id_problem(self, number: int, table: Table, row: TableRow, product_id: str) -> str:
        if not product_id:
            return "the id is missing"
        if (known := self._ids.get(product_id)) is not None:
            file, line = known
            return (
                f"duplicate of line {line}"
                if file == number
                else f"duplicate of {self.tables[file][0].file} line {line}"
            )
        if is_scientific(product_id):
            raise scientific_notation(Place(table.file, row.line, self._id_column), product_id)
        return ""


def _column_name(table: Table, positions: Sequence[int]) -> str:
    return ", ".join(repr(table.columns[at]) if table.has_header else str(at) for at in positions)
