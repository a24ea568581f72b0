"""Releases over HTTP: listed, described, and deployed by the retrain trigger."""

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime

from inference.http.problems import Problem
from inference.http.public_paths import public_path
from inference.operations_api import (
    CanaryRequest,
    LabelCount,
    ReleaseActionReceipt,
    ReleaseActionView,
    ReleaseDetailView,
    ReleaseListParameters,
    ReleasePage,
    ReleaseState,
    ReleaseView,
    VerdictView,
)
from product_classifier.errors import ActionActive, InvalidInput, ObjectNotFound
from product_classifier.feedback.records import new_id
from product_classifier.release_history.release_actions import (
    ActionKind,
    ReleaseAction,
    current_canary,
    find_action,
    find_result,
    pending_actions,
    request_action,
)
from product_classifier.release_history.release_records import PromotionRecord, ReleaseHistory, ReleaseRecord
from product_classifier.retraining import read_snapshot
from product_classifier.store import ObjectStore
from product_classifier.stored_taxonomy.change_store import StoredTaxonomy, TaxonomyState


class Releases:
    """Lists releases and takes requests for them; safe for any number of threads."""

    def __init__(self, store: ObjectStore, taxonomy: StoredTaxonomy, now: Callable[[], datetime]) -> None:
        self.history = ReleaseHistory(store)
        self._store = store
        self._taxonomy = taxonomy
        self._now = now
        self._corrections: dict[str, Counter[str] | None] = {}

    def page(self, parameters: ReleaseListParameters) -> ReleasePage:
        """Return a page of releases, newest first; those with a damaged manifest are left out."""
        champion = self.history.champion()
        states = self.states(champion)
        found = [one for one in self.history.ids() if parameters.cursor is None or one < parameters.cursor]
        chosen = found[: parameters.limit]
        records = (self.history.find(release) for release in chosen)
        items = [self._view(record, states) for record in records if record is not None]
        cursor = chosen[-1] if len(found) > len(chosen) else None
        return ReleasePage(items=items, next_cursor=cursor, champion=champion)

    def detail(self, release: str) -> ReleaseDetailView:
        """Return a release with its data; raise a 404 problem if it is not published."""
        record = self._existing(release)
        champion = self.history.champion()
        taxonomy = self._taxonomy.current()
        promotion = self.history.promotion(release)
        corrections = self._corrections_of(record.corrections)
        return ReleaseDetailView(
            **self._view(record, self.states(champion)).model_dump(),
            git_commit=record.git_commit,
            mlflow_runs=record.mlflow_runs,
            corrections_snapshot=record.corrections,
            products_by_category=_counts(record.products, taxonomy),
            corrections_by_category=_counts(corrections or {}, taxonomy),
            metrics=record.metrics,
            gate_metrics=promotion.metrics if promotion else {},
        )

    def promote(self, release: str, user: str) -> ReleaseActionReceipt:
        """Request the deployment of a published release."""
        self._existing(release)
        return self._request("promote", release, user)

    def roll_back(self, user: str) -> ReleaseActionReceipt:
        """Request the deployment of the release that the champion replaced."""
        champion = self.history.champion()
        before = self.history.before(champion) if champion else None
        if before is None or self.history.find(before) is None:
            raise Problem(
                409,
                f"{champion or 'champion'}: no release is known to have been deployed before; promote one by its id",
                kind="no-release-before",
            )
        return self._request("rollback", before, user)

    def canary(self, release: str, body: CanaryRequest, user: str) -> ReleaseActionReceipt:
        """Request a canary of a published release, or its end."""
        self._existing(release)
        if not body.share:
            return self._request("stop_canary", "", user)
        if release == self.history.champion():
            raise Problem(409, f"{release}: is the champion; choose another release", kind="is-champion")
        return self._request("canary", release, user, share=body.share, shadow=body.shadow)

    def action(self, action_id: str) -> ReleaseActionView:
        """Return an action with its state; raise a 404 problem if there is none of this id."""
        action = find_action(self._store, action_id)
        if action is None:
            raise Problem(404, f"id: no release action has the id {action_id!r}", kind="unknown-action")
        result = find_result(self._store, action_id)
        return ReleaseActionView(
            **action.model_dump(),
            state="active" if result is None else "succeeded" if result.done else "failed",
            reason=result.reason if result else "",
            finished=result.finished if result else None,
        )

    def states(self, champion: str | None) -> Mapping[str, ReleaseState]:
        """Return the states of the releases that get requests."""
        canary = current_canary(self._store, champion)
        found: dict[str, ReleaseState] = {}
        if canary is not None:
            found[canary.release] = "shadow" if canary.shadow else "canary"
        return found | ({champion: "champion"} if champion else {})

    def state(self, release: str, states: Mapping[str, ReleaseState]) -> ReleaseState:
        """Return the state of a release."""
        return states.get(release) or _decided(self.history.promotion(release))

    def _request(
        self, kind: ActionKind, release: str, user: str, *, share: float = 0.0, shadow: bool = False
    ) -> ReleaseActionReceipt:
        if active := pending_actions(self._store):
            raise ActionActive(active[0].action_id)
        now = self._now()
        action = ReleaseAction(
            action_id=new_id(now),
            kind=kind,
            release=release,
            share=share,
            shadow=shadow,
            requested_by=user,
            created=now,
        )
        request_action(self._store, action)
        url = public_path(f"/releases/actions/{action.action_id}")
        return ReleaseActionReceipt(action_id=action.action_id, release=release, status_url=url)

    def _existing(self, release: str) -> ReleaseRecord:
        record = self.history.find(release)
        if record is None:
            raise Problem(404, f"release: {release} is not published; GET /releases lists all", kind="unknown-release")
        return record

    def _view(self, record: ReleaseRecord, states: Mapping[str, ReleaseState]) -> ReleaseView:
        promotion = self.history.promotion(record.id)
        corrections = self._corrections_of(record.corrections)
        return ReleaseView(
            release=record.id,
            created=record.created,
            state=self.state(record.id, states),
            weighted_f1=record.score("fusion", "weighted_f1"),
            text_weighted_f1=record.score("text", "weighted_f1"),
            image_weighted_f1=record.score("image", "weighted_f1"),
            hold_out=record.hold_out,
            data_revision=record.data_revision,
            products=sum(record.products.values()) if record.products else None,
            categories=len(record.metrics.get("codes") or record.products),
            corrections=None if corrections is None else corrections.total(),
            verdict=_verdict(promotion) if promotion else None,
        )

    def _corrections_of(self, snapshot: str | None) -> Counter[str] | None:
        """Return the number of corrections by code of a snapshot, which is read once; None if it is lost."""
        if snapshot is None:
            return Counter()
        if snapshot not in self._corrections:
            try:
                items = read_snapshot(self._store, snapshot).corrections
            except (InvalidInput, ObjectNotFound):
                return None
            self._corrections[snapshot] = Counter(item.code for item in items)
        return self._corrections[snapshot]


def _decided(promotion: PromotionRecord | None) -> ReleaseState:
    if promotion is None:
        return "not compared"
    return "former champion" if promotion.promoted else "refused"


def _verdict(promotion: PromotionRecord) -> VerdictView:
    return VerdictView(
        promoted=promotion.promoted,
        champion=promotion.champion,
        reasons=list(promotion.reasons),
        decided=promotion.decided,
    )


def _counts(numbers: Mapping[str, int], taxonomy: TaxonomyState) -> list[LabelCount]:
    ordered = sorted(numbers.items(), key=lambda one: (-one[1], one[0]))
    return [
        LabelCount(code=taxonomy.newest.to_json_code(code), label=taxonomy.label(code), products=count)
        for code, count in ordered
    ]
