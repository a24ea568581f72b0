"""An index of the corrections, reviews and revisions in the object store, in a SQLite file.

    index = FeedbackIndex(store, path=Path("state/feedback-index.sqlite"), store_name=url)
    index.refresh()
    page = index.page(limit=50)

Objects are immutable, so each is read once (`object_reader`), and the keys of its product are computed then. The states
and the label of a product are computed again only when a correction or review of that product arrives
(`state_updates`). An object that cannot be parsed is recorded in `damaged` with the reason and skipped. Codes are
indexed as they were given, and as the newest version of the taxonomy reads them.

New objects are found in three ways: those this process has stored are added by `add`; each refresh lists the newest
days; and one older day after the other is listed, which finds what another server wrote there late (`object_listing`).
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from math import inf
from pathlib import Path
from time import monotonic

from product_classifier.errors import IndexUnavailable
from product_classifier.feedback.index_database import IndexDatabase
from product_classifier.feedback.index_labels import LabelReader, replace_watermark
from product_classifier.feedback.index_queries import IndexQueries
from product_classifier.feedback.index_rows import UNREAD_CONFIDENCE, FeedbackRecord, content_version, prepare
from product_classifier.feedback.index_schema import SCHEMA_VERSION
from product_classifier.feedback.index_writer import IndexWriter
from product_classifier.feedback.object_listing import Layout, ListedTable, ObjectListing
from product_classifier.feedback.object_reader import ObjectReader
from product_classifier.feedback.records import (
    REVIEW_SUFFIX,
    REVISION_SUFFIX,
    correction_key,
    review_key,
    revision_key,
)
from product_classifier.feedback.state_updates import StateUpdater
from product_classifier.feedback.trust import Label
from product_classifier.observability import get_logger
from product_classifier.store import ObjectStore
from product_classifier.store.object_keys import FEEDBACK_PREFIX
from product_classifier.stored_taxonomy.change_store import StoredTaxonomy

LAYOUT = Layout(
    FEEDBACK_PREFIX,
    {
        "corrections": ListedTable(".json", correction_key),
        "reviews": ListedTable(REVIEW_SUFFIX, review_key),
        "revisions": ListedTable(REVISION_SUFFIX, revision_key),
    },
)
log = get_logger()


class FeedbackIndex(IndexQueries):
    """The objects under `feedback/`. Thread-safe; memory does not grow with their number."""

    def __init__(
        self,
        store: ObjectStore,
        path: Path | None = None,
        *,
        store_name: str = "",
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        """Open the index, or create an empty one that `refresh` fills.

        Args:
            store: Where corrections and reviews are.
            path: File of the index; None for one in memory, for a small history.
            store_name: URL of the store; an index of another store is built again.
            today: Returns the current day (UTC).
        """
        super().__init__(IndexDatabase(path, f"{SCHEMA_VERSION} {content_version()} {store_name}"))
        self._store = store
        self._today = today
        self._states = StateUpdater()
        self.taxonomy = StoredTaxonomy(store)
        """The taxonomy in service and its changes, in whose newest version codes are read."""
        self._writer = IndexWriter(self._database, self._states, self.taxonomy.read)
        self._reader = ObjectReader(store, self._database, self._writer)
        is_pending = lambda key: self.is_pending(key)  # noqa: E731, PLW0108 - the attribute may be replaced
        self._listing = ObjectListing(
            store, self._database, self._writer, LAYOUT, self._reader.read_foreign, is_pending
        )
        self._refreshing = threading.Lock()
        self._complete_generation = -1
        self.is_pending: Callable[[str], bool] = lambda _: False
        """Returns whether an object is acknowledged and not yet in the store; it stays indexed."""
        self._writer.forget_damage()

    @property
    def is_complete(self) -> bool:
        """Whether all objects of the store have been read once; until then, results are preliminary."""
        return self._complete_generation == self._database.generation

    def refresh(self, budget_s: float = inf) -> bool:
        """Index objects added since the last call; return False if the time was not enough for all.

        Raises:
            StoreUnavailable: If the store cannot be reached; what was read before the error stays indexed.
            IndexUnavailable: If the file of the index cannot be used.
        """
        deadline = monotonic() + budget_s
        with self._refreshing:
            generation = self._database.generation
            self._follow_taxonomy()
            self._listing.list_newest(self._today())
            if not self._reader.read_listed(deadline):
                return False
            self._reader.resolve_products(deadline)
            self._states.update_postponed(self._database)
            if self.is_complete and monotonic() >= self._listing.sweep_due:
                self._listing.sweep_next_day()
                self._reader.read_listed(deadline)
            self._complete_generation = generation
            return self.is_complete

    def sweep(self) -> None:
        """List every day and index what is new, remove what was deleted. Raises what `refresh` raises."""
        with self._refreshing:
            self._listing.start_sweep()
            while self._listing.sweep_next_day():
                pass
            self._reader.read_listed(inf)

    def read_confidences(self) -> bool:
        """Read the confidence of some predictions, for `order="uncertain"`; return whether there may be more.

        Raises what `refresh` raises.
        """
        with self._refreshing:
            return self._reader.read_confidences()

    def add(self, record: FeedbackRecord, *, replace: bool = False, confidence: float = UNREAD_CONFIDENCE) -> None:
        """Index a record that the caller has stored or found; after an error the next refresh finds it.

        Args:
            record: A correction, review or revision.
            replace: Whether it is indexed in the place of another one of its id.
            confidence: Confidence of the prediction that a correction is about, if it has been read.
        """
        try:
            self._writer.write([prepare(record, record.key, confidence)], replace=replace)
        except (IndexUnavailable, ValueError, OverflowError, RecursionError) as error:
            log.warning("correction_not_indexed", key=record.key, reason=str(error))

    def ensure_listed(self, now: datetime) -> None:
        """List, once a day, the ids that were added before today, for `find_id`. Raises what `refresh` raises."""
        self._listing.ensure_listed(now.astimezone(UTC).date())

    @contextmanager
    def open_labels(self) -> Iterator[LabelReader]:
        """Yield the labels of one moment, which may be read repeatedly."""
        with self._database.read() as database:
            yield LabelReader(database, self._store)

    def labels(self) -> tuple[Label, ...]:
        """Return the labels of all products, sorted by feedback id; for small histories."""
        with self.open_labels() as labels:
            return tuple(sorted(labels, key=lambda label: label.feedback_id))

    def set_watermark(self, name: str, trained: Iterable[tuple[str, str]]) -> None:
        """Replace the watermark: labels with these product keys (hexadecimal) and codes are not new.

        Works in short transactions. If it is interrupted, `watermark` is "?" until the next call.
        """
        replace_watermark(self._database, name, trained)

    def _follow_taxonomy(self) -> None:
        """Read all codes again if a change of the taxonomy was applied; labels of the watermark too."""
        state = self.taxonomy.current()
        version = str(state.version_to_store(state.newest.version) or "")
        if (self._database.meta("taxonomy_version") or "") != version:
            self._writer.update_readings()
            self._database.set_meta("taxonomy_version", version)
            self._database.set_meta("watermark", "?")

    def close(self) -> None:
        """Close the file."""
        self._database.close()
