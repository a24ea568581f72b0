"""Quality of releases, training labels that are probably wrong, and monitored windows over HTTP."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from inference.feedback_service.release_listing import Releases
from inference.http.problems import Problem
from inference.operations_api import (
    CalibrationBin,
    CategoryQuality,
    ConfusionView,
    CoveragePoint,
    DriftPage,
    DriftParameters,
    FeedbackDay,
    ModelScores,
    QualityParameters,
    QualityView,
    ReleaseQuality,
    SuspectPage,
    SuspectParameters,
    SuspectView,
)
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.index_days import DayCounts
from product_classifier.monitoring.drift_windows import list_windows
from product_classifier.release_history.release_records import ReleaseRecord
from product_classifier.store import ObjectStore
from product_classifier.stored_taxonomy.change_store import TaxonomyState
from product_classifier.taxonomy.stored_codes import from_stored

KINDS = ("fusion", "text", "image")
MAX_CONFUSIONS = 200
MAX_RELEASES = 50


class Quality:
    """Reads reports of the store and counts of the index; safe for any number of threads."""

    def __init__(
        self, store: ObjectStore, index: FeedbackIndex, releases: Releases, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._index = index
        self._releases = releases
        self._now = now

    def view(self, parameters: QualityParameters) -> QualityView:
        """Return the quality of a release, by default the champion; raise a 404 problem if unknown."""
        release, record = self._release(parameters.release)
        taxonomy = self._index.taxonomy.current()
        metrics = record.metrics if record else {}
        report = (self._releases.history.quality(release) if release else None) or {}
        return QualityView(
            release=release,
            hold_out=record.hold_out if record else "",
            scores={kind: _scores(metrics[kind]) for kind in KINDS if isinstance(metrics.get(kind), dict)},
            by_category=_by_category(metrics.get("by_category") or {}, taxonomy),
            confusions=_confusions(report, taxonomy),
            calibration=[CalibrationBin.model_validate(one) for one in report.get("calibration", [])],
            coverage=[CoveragePoint.model_validate(one) for one in report.get("coverage", [])],
            releases=self._over_releases(),
            feedback=[_day(one) for one in self._index.counts_by_day(self._now() - timedelta(days=parameters.days))],
        )

    def suspects(self, parameters: SuspectParameters) -> SuspectPage:
        """Return a page of suspects of a release, by default the champion."""
        release, _ = self._release(parameters.release)
        report = (self._releases.history.suspects(release) if release else None) or {}
        taxonomy = self._index.taxonomy.current()
        rows = [row for row in report.get("suspects", []) if parameters.code in {None, from_stored(row["code"])}]
        start = int(parameters.cursor or 0)
        end = start + parameters.limit
        return SuspectPage(
            release=release,
            labels=int(report.get("labels", 0)),
            items=[_suspect(row, taxonomy) for row in rows[start:end]],
            next_cursor=str(end) if end < len(rows) else None,
        )

    def drift(self, parameters: DriftParameters) -> DriftPage:
        """Return a page of monitored windows, newest first."""
        found = list_windows(self._store, parameters.limit + 1, parameters.cursor or "")
        windows = found[: parameters.limit]
        cursor = windows[-1].window_id if len(found) > len(windows) else None
        return DriftPage(windows=windows, next_cursor=cursor)

    def _release(self, chosen: str | None) -> tuple[str | None, ReleaseRecord | None]:
        release = chosen or self._releases.history.champion()
        record = self._releases.history.find(release) if release else None
        if chosen and record is None:
            raise Problem(404, f"release: {chosen} is not published; GET /releases lists all", kind="unknown-release")
        return release, record

    def _over_releases(self) -> list[ReleaseQuality]:
        states = self._releases.states(self._releases.history.champion())
        records = (self._releases.history.find(one) for one in self._releases.history.ids()[:MAX_RELEASES])
        return [
            ReleaseQuality(
                release=one.id,
                created=one.created,
                state=self._releases.state(one.id, states),
                hold_out=one.hold_out,
                weighted_f1=one.score("fusion", "weighted_f1"),
                macro_f1=one.score("fusion", "macro_f1"),
                f1_by_category={code: row["f1"] for code, row in (one.metrics.get("by_category") or {}).items()},
            )
            for one in records
            if one is not None
        ]


def _scores(values: Mapping[str, Any]) -> ModelScores:
    return ModelScores.model_validate({name: values.get(name, 0) for name in ModelScores.model_fields})


def _by_category(rows: Mapping[str, Mapping[str, Any]], taxonomy: TaxonomyState) -> list[CategoryQuality]:
    found = [
        CategoryQuality(
            code=taxonomy.newest.to_json_code(code),
            label=taxonomy.label(code),
            precision=row["precision"],
            recall=row["recall"],
            f1=row["f1"],
            items=row["items"],
            accepted_coverage=row.get("accepted_coverage"),
            accepted_precision=row.get("accepted_precision"),
        )
        for code, row in rows.items()
    ]
    return sorted(found, key=lambda one: one.f1)


def _confusions(report: Mapping[str, Any], taxonomy: TaxonomyState) -> list[ConfusionView]:
    codes = [from_stored(code) for code in report.get("codes", [])]
    pairs = [
        (from_stored(one["code"]), from_stored(one["predicted"]), int(one["items"]))
        for one in report.get("largest_confusions", [])
    ]
    for code, row in zip(codes, report.get("confusion", []), strict=False):
        pairs += [(code, other, count) for other, count in zip(codes, row, strict=True) if count and other != code]
    pairs.sort(key=lambda one: (-one[2], one[0], one[1]))
    return [
        ConfusionView(
            code=taxonomy.newest.to_json_code(code),
            label=taxonomy.label(code),
            predicted=taxonomy.newest.to_json_code(predicted),
            predicted_label=taxonomy.label(predicted),
            items=items,
        )
        for code, predicted, items in pairs[:MAX_CONFUSIONS]
    ]


def _suspect(row: Mapping[str, Any], taxonomy: TaxonomyState) -> SuspectView:
    code, suggested = from_stored(row["code"]), from_stored(row["suggested_code"])
    return SuspectView(
        product_id=row["product_id"],
        designation=row["designation"] or "",
        description=row["description"] or "",
        image_sha256=row["image_sha256"] or None,
        code=taxonomy.newest.to_json_code(code),
        label=taxonomy.label(code),
        probability=row["probability"],
        suggested_code=taxonomy.newest.to_json_code(suggested),
        suggested_label=taxonomy.label(suggested),
        suggested_probability=row["suggested_probability"],
        copies=len(row["copies"]),
    )


def _day(counts: DayCounts) -> FeedbackDay:
    decided = counts.accepted + counts.rejected
    return FeedbackDay(
        day=counts.day.isoformat(),
        corrections=counts.corrections,
        confirmations=counts.confirmations,
        accepted=counts.accepted,
        rejected=counts.rejected,
        acceptance_rate=counts.accepted / decided if decided else None,
    )
