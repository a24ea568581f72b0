"""Read the codes of a catalogue in the newest version of the taxonomy."""

from product_classifier.catalogue.catalogue_rows import CatalogueRow
from product_classifier.errors import CatalogueError, StoreUnavailable, UnknownCategory
from product_classifier.store import open_store
from product_classifier.stored_taxonomy.change_store import TaxonomyState, read_state
from product_classifier.taxonomy import Taxonomy


class NewestCodes:
    """Maps codes through the applied changes; without any, rows and taxonomy stay as they are.

    A code is of the version to which the first change was applied, or of the newest one that has it.
    """

    def __init__(self, store: str) -> None:
        """Read the changes of the store with this URL; "" for none."""
        self._state = _changed_state(store)
        self._codes: dict[str, str] = {"": ""}

    def read(self, row: CatalogueRow) -> CatalogueRow:
        """Return a row with its code in the newest version, "" if it is in no category there.

        Raises:
            CatalogueError: If no version of the taxonomy has the code.
        """
        if self._state is None:
            return row
        if row.code not in self._codes:
            self._codes[row.code] = _newest(self._state, row)
        return row._replace(code=self._codes[row.code])

    def taxonomy(self, catalogue: Taxonomy) -> Taxonomy:
        """Return the newest version of the taxonomy; that of the catalogue if it was never changed."""
        return catalogue if self._state is None else self._state.newest


def _changed_state(store: str) -> TaxonomyState | None:
    if not store:
        return None
    try:
        objects = open_store(store)
    except StoreUnavailable:  # a folder that the first run creates
        return None
    state = read_state(objects)
    return state if state.applied else None


def _newest(state: TaxonomyState, row: CatalogueRow) -> str:
    base = state.history.base
    try:
        version = base.version if row.code in base else state.locate(row.code)
    except UnknownCategory as error:
        raise CatalogueError(
            f"{row.file or 'catalogue'} line {row.line}: {error}; add the category by a change file"
        ) from error
    return state.read(row.code, version).code or ""
