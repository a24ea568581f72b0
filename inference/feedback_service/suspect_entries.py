"""Entries of the queue for the training labels of the release in service that are probably wrong."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from product_classifier.audit.audit_events import repeatable_id
from product_classifier.feedback.queue_records import QueueEntry
from product_classifier.feedback.records import ProductContent, image_key
from product_classifier.observability import get_logger
from product_classifier.release_history.release_records import ReleaseHistory
from product_classifier.store import ObjectStore
from product_classifier.stored_taxonomy.change_store import StoredTaxonomy
from product_classifier.taxonomy.stored_codes import from_stored

log = get_logger()


class SuspectEntries:
    """Reads the suspects that `find_suspects` listed for a release."""

    def __init__(self, store: ObjectStore, history: ReleaseHistory, taxonomy: StoredTaxonomy) -> None:
        self._store = store
        self._history = history
        self._taxonomy = taxonomy

    def read(self) -> list[QueueEntry]:
        """Return an entry for each suspect of the champion; always with the same ids."""
        release = self._history.champion()
        record = None if release is None else self._history.find(release)
        found = None if release is None else self._history.suspects(release)
        if record is None or found is None:
            return []
        entries = (self._entry(record.id, record.created, row) for row in found.get("suspects", []))
        return [entry for entry in entries if entry is not None]

    def _entry(self, release: str, created: datetime, row: Mapping[str, Any]) -> QueueEntry | None:
        """Return the entry of a suspect; None if it has no text, and its photo is not in the object store."""
        try:
            sha256 = row.get("image_sha256") or None
            has_photo = sha256 is not None and self._store.exists(image_key(sha256))
            product = ProductContent(
                designation=row["designation"] or "",
                description=row["description"] or "",
                image_sha256=sha256 if has_photo else None,
            )
            return QueueEntry(
                entry_id=repeatable_id(created, f"suspect {release} {row['product_id']}"),
                created=created.astimezone(UTC),
                reason="suspected_label",
                detail=f"product {row['product_id']}: probability of its label {row['probability']:.2f}",
                score=1 - float(row["probability"]),
                product=product,
                label=from_stored(row["code"]),
                suggested=from_stored(row["suggested_code"]),
                taxonomy_version=self._taxonomy.known.version_to_store(self._taxonomy.known.in_service.version),
            )
        except (KeyError, TypeError, ValueError) as error:
            log.warning("suspect_skipped", release=release, reason=str(error)[:200])
            return None
