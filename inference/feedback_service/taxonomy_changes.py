"""Changes of the taxonomy over HTTP: listed, tried and applied."""

from collections.abc import Callable
from datetime import datetime
from typing import get_args

from pydantic import ValidationError

from inference.feedback_api import OutcomeCounts, TaxonomyChangePage, TaxonomyChangeParameters, TaxonomyChangeView
from inference.feedback_service.index_refresher import IndexRefresher
from inference.http.bodies import check_structure
from inference.http.problems import BodyTooLarge, Problem
from product_classifier.errors import ChangeRefused, IndexUnavailable, StoreUnavailable, TaxonomyError
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.limits import LISTED_BYTES, TAXONOMY_CHANGE_BYTES, TAXONOMY_CHANGE_VALUES
from product_classifier.store import ObjectStore
from product_classifier.stored_taxonomy.applied_change import AppliedChange, Outcome
from product_classifier.stored_taxonomy.change_store import TaxonomyState, apply_change_file
from product_classifier.taxonomy.change_file import ChangeFile
from product_classifier.taxonomy.stored_codes import TEXT_CODES
from product_classifier.validation_messages import described

WAIT_S = 5.0
"""Longest time that a change waits for corrections that were just stored."""


class TaxonomyChanges:
    """Lists and applies changes; safe for any number of threads and of servers on one store."""

    def __init__(
        self, store: ObjectStore, index: FeedbackIndex, refresher: IndexRefresher, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._index = index
        self._refresher = refresher
        self._now = now

    def page(self, parameters: TaxonomyChangeParameters) -> str:
        """Return a page of the applied changes, newest first, as JSON.

        Raises:
            StoreUnavailable: If the store cannot be reached, or an object in it is damaged.
        """
        state = self._read_state()
        before = int(parameters.cursor) if parameters.cursor else state.newest.version + 1
        found = [one for one in reversed(state.applied) if one.change.to_version < before]
        views: list[TaxonomyChangeView] = []
        size = 0
        for applied in found[: parameters.limit]:
            view = _view(applied, is_applied=True)
            size += len(view.model_dump_json())
            if views and size > LISTED_BYTES:
                break
            views.append(view)
        cursor = str(views[-1].to_version) if len(views) < len(found) else None
        return _to_json(TaxonomyChangePage(items=views, next_cursor=cursor), state)

    def apply(self, user: str, body: bytes, *, dry_run: bool) -> tuple[str, bool]:
        """Check a change file, store it unless `dry_run`, return what it does and whether it is new.

        Raises:
            BodyTooLarge: If the file is too large.
            Problem: If it is malformed.
            ChangeRefused: If it is not valid for the newest version.
            IndexUnavailable: If not all corrections are indexed, so that they cannot be counted.
            StoreUnavailable: If the store cannot be reached, or an object in it is damaged.
        """
        file = read_change_file(body)
        state = self._read_state()
        self._refresher.refresh(WAIT_S)
        if not self._index.is_complete:
            count = self._index.unread_count()
            raise IndexUnavailable(f"the index of corrections is being built, {count} are left; send the request later")
        try:
            applied, is_new = apply_change_file(
                self._store,
                file,
                actor=user,
                now=self._now(),
                corrections=self._index.count_by_code(),
                dry_run=dry_run,
            )
        except ChangeRefused:
            raise
        except TaxonomyError as error:
            raise StoreUnavailable(str(error)) from error
        if is_new and not dry_run:
            self._read_state()  # a correction to a new category is accepted from now on
        return _to_json(_view(applied, is_applied=not (is_new and dry_run)), state), is_new

    def _read_state(self) -> TaxonomyState:
        try:
            return self._index.taxonomy.refresh()
        except TaxonomyError as error:
            raise StoreUnavailable(str(error)) from error


def read_change_file(body: bytes) -> ChangeFile:
    """Return the change file in a request body.

    Raises:
        BodyTooLarge: If it is too large.
        Problem: 400 if it is not JSON or has too many values, 422 with each invalid field.
    """
    if len(body) > TAXONOMY_CHANGE_BYTES:
        raise BodyTooLarge(TAXONOMY_CHANGE_BYTES)
    check_structure(body, max_values=TAXONOMY_CHANGE_VALUES)
    try:
        return ChangeFile.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"] == "json_invalid":
            reason = f"the body is not valid JSON: {first['ctx']['error']}"
            raise Problem(400, reason, kind="malformed-json") from error
        errors = [{"field": where or "body", "detail": what} for where, what in described(error)]
        detail = "; ".join(f"{one['field']}: {one['detail']}" for one in errors)
        raise Problem(422, detail, kind="invalid-taxonomy-change", errors=errors) from error


def _view(applied: AppliedChange, *, is_applied: bool) -> TaxonomyChangeView:
    counts = {outcome: applied.count(outcome) for outcome in get_args(Outcome)}
    return TaxonomyChangeView(
        from_version=applied.change.from_version,
        to_version=applied.change.to_version,
        changes=applied.change.changes,
        created=applied.created,
        actor=applied.actor,
        applied=is_applied,
        products=OutcomeCounts(**{outcome: products for outcome, (products, _) in counts.items()}),
        corrections=OutcomeCounts(**{outcome: corrections for outcome, (_, corrections) in counts.items()}),
        effects=applied.effects,
    )


def _to_json(model: TaxonomyChangePage | TaxonomyChangeView, state: TaxonomyState) -> str:
    """Return JSON in which codes are numbers only where the catalogue says so."""
    return model.model_dump_json(by_alias=True, context=TEXT_CODES if state.newest.code_type == "string" else None)
