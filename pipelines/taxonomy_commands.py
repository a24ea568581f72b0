"""Apply a change file to the taxonomy in the object store."""

from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipelines.settings import PipelineSettings
from product_classifier.audit.audit_events import (
    AuditAction,
    AuditEvent,
    AuditOutcome,
    operator_name,
    record_event,
    repeatable_id,
)
from product_classifier.errors import TaxonomyError
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.limits import TAXONOMY_CHANGE_BYTES
from product_classifier.store import ObjectStore, open_store
from product_classifier.stored_taxonomy.applied_change import AppliedChange
from product_classifier.stored_taxonomy.change_store import apply_change_file
from product_classifier.taxonomy.change_file import ChangeFile, parse_change_file


def apply_file(settings: PipelineSettings, path: Path, console: Console, *, dry_run: bool) -> AppliedChange:
    """Check a change file, apply it unless `dry_run`, and print what it does to products and corrections.

    Raises:
        TaxonomyError: If it is not valid for the newest version of the taxonomy.
        StoreUnavailable: If the store cannot be reached.
    """
    file = read_change_file(path)
    store = open_store(settings.store)
    index = FeedbackIndex(store)
    try:
        index.refresh()
        corrections = index.count_by_code()
    finally:
        index.close()
    now = datetime.now(UTC)
    applied, is_new = apply_change_file(
        store, file, actor=operator_name(), now=now, corrections=corrections, dry_run=dry_run
    )
    if is_new and not dry_run:
        _record(store, file, now)
    console.print(_table(applied))
    versions = f"version {file.from_version} to {file.to_version}"
    outcome = "was applied before" if not is_new else "would be applied" if dry_run else "is applied"
    console.print(f"{path.name}: {versions} {outcome}", highlight=False)
    return applied


def read_change_file(path: Path) -> ChangeFile:
    """Read a change file; raise `TaxonomyError` if it is too large or malformed."""
    if (size := path.stat().st_size) > TAXONOMY_CHANGE_BYTES:
        raise TaxonomyError(
            f"{path.name}: has {size} bytes; {TAXONOMY_CHANGE_BYTES} are accepted, divide it into several versions"
        )
    return parse_change_file(path.read_bytes(), path.name)


def _record(store: ObjectStore, file: ChangeFile, now: datetime) -> None:
    event = AuditEvent(
        event_id=repeatable_id(now, f"taxonomy {file.to_version}"),
        created=now,
        action=AuditAction.TAXONOMY_CHANGED,
        actor=operator_name(),
        actor_kind="operator",
        target=str(file.to_version),
        outcome=AuditOutcome(outcome="done"),
    )
    record_event(store, event)


def _table(applied: AppliedChange) -> Table:
    table = Table("change", "code", "outcome", "products", "corrections", box=None)
    for effect in applied.effects:
        outcome = effect.outcome if effect.to is None else f"{effect.outcome}: {effect.to}"
        table.add_row(effect.do, effect.code, outcome, str(effect.products), str(effect.corrections))
    return table
