"""Deploy a release that passed the gate, and record the outcome."""

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.shared.rollout.history import Promotion, find, record, record_in_audit_log
from components.shared.rollout.retention import prune
from components.shared.rollout.rollout import Rollout, open_rollout
from components.shared.rollout.smoke import SmokeTest
from components.shared.rollout.switch import Switch, SwitchResult
from components.shared.tracking import RegistryRefused, RunRecord, Tracking, TrackingUnavailable
from product_classifier.errors import ProductClassifierError, RunSuperseded
from product_classifier.evaluation.gate import GateLimits
from product_classifier.releases.release import MANIFEST
from product_classifier.retraining import RunStore, Verdict, is_run_finished, write_verdict
from product_classifier.store import ObjectStore, open_store


def run(
    release: str,
    decision: Path,
    report: Path,
    store: str,
    tracking_uri: str,
    rollout: str,
    verdict: Path,
    service: str = "",
    run_id: str = "",
    experiment: str = "product-classifier",
    smoke_deadline_s: float = 180.0,
    releases_kept: int = 20,
) -> bool:
    """Deploy the release if it passed the gate; write `verdict` (JSON), return whether it is deployed.

    Idempotent: the first outcome of a release is stored and returned by later calls.

    Args:
        release: Id of a published release.
        decision: Decision of the gate (JSON), as `compare` writes it.
        report: Page that `compare` wrote.
        store: URL of the object store with the releases: file:///folder or s3://bucket.
        tracking_uri: URI of MLflow, where the alias champion is set.
        rollout: URL of the deployment: file:///folder or kserve://namespace.
        verdict: Outcome of the promotion.
        service: Base URL of the fusion's server for the smoke test; empty to skip it.
        run_id: Run of the trigger; empty for a training that no trigger claimed.
        experiment: Name of the MLflow experiment.
        smoke_deadline_s: Seconds until all servers must serve the release.
        releases_kept: Number of the newest releases that stay in the store besides those in use; 0 keeps all.

    Raises:
        RunSuperseded: If the run is over.
        BundleRefused: If the release is invalid.
        RolloutFailed: If it could not be rolled out; the champion is deployed.
    """
    objects = open_store(store)
    decision_document = json.loads(decision.read_text(encoding="utf-8"))
    promotion = find(objects, release)
    if promotion is None:
        smoke = SmokeTest(service, GateLimits(**decision_document["limits"]), smoke_deadline_s)
        switch = Switch(objects, open_rollout(rollout, objects), smoke)
        switched = _apply(decision_document, switch, run_id)
        promotion = record(objects, _promotion(decision_document, switched), report.read_bytes())
    record_in_audit_log(objects, promotion, run_id)
    verdict.parent.mkdir(parents=True, exist_ok=True)
    verdict.write_text(promotion.model_dump_json(indent=2) + "\n", encoding="utf-8")
    _track_verdict(promotion, objects, (tracking_uri, experiment), {"verdict.json": verdict, "comparison.html": report})
    if run_id:
        write_verdict(RunStore(objects), _verdict(promotion, run_id))
    if promotion.promoted:
        _follow_up(release, objects, open_rollout(rollout, objects), (tracking_uri, experiment), releases_kept)
    return promotion.promoted


def _track_verdict(
    promotion: Promotion, objects: ObjectStore, mlflow: tuple[str, str], files: Mapping[str, Path]
) -> None:
    """Add the verdict to the run of the release, which it ends; a failure of MLflow is printed."""
    manifest = json.loads(objects.get(f"models/{promotion.release}/{MANIFEST}"))
    run = manifest.get("mlflow_runs", {}).get("training")
    if run is None:  # MLflow was unavailable when the release was registered
        return
    tags = {"verdict": "promoted" if promotion.promoted else "rejected", "reasons": "; ".join(promotion.reasons)}
    before, after = promotion.metrics["before"], promotion.metrics["after"]
    metrics = {"gate.confidence": promotion.metrics["confidence"]}
    if before:
        metrics["gate.gain"] = after["weighted_f1"] - before["weighted_f1"]
    try:
        Tracking(*mlflow).extend_run(run, RunRecord("", {}, metrics, tags, files, ended=promotion.decided))
    except TrackingUnavailable as error:
        sys.stderr.write(f"{promotion.release}: the verdict is not in MLflow: {error}\n")


def _follow_up(release: str, objects: ObjectStore, rollout: Rollout, mlflow: tuple[str, str], keep: int) -> None:
    """Move the alias and delete old releases; an MLflow that refuses costs both, not the promotion."""
    try:
        tracking = Tracking(*mlflow)
        tracking.set_champion_alias(release)
    except RegistryRefused as error:
        sys.stderr.write(f"{release} is deployed; the alias champion was not moved: {error}\n")
        return
    if keep:
        _prune(objects, rollout, tracking, keep)


def _prune(objects: ObjectStore, rollout: Rollout, tracking: Tracking, keep: int) -> None:
    """Delete old releases; a failure is printed and does not undo the promotion."""
    try:
        prune(objects, rollout, tracking.aliased(), keep, datetime.now(UTC))
    except ProductClassifierError as error:
        sys.stderr.write(f"old releases were not deleted: {error}\n")


def _apply(decision_document: dict[str, Any], switch: Switch, run_id: str) -> SwitchResult:
    reasons = tuple(decision_document["reasons"])
    if not decision_document["promote"]:
        return SwitchResult(done=False, reasons=reasons)
    if problem := _champion_changed(switch.rollout, decision_document):
        return SwitchResult(done=False, reasons=(problem,))
    if run_id and is_run_finished(RunStore(switch.store), run_id):
        raise RunSuperseded(f"run {run_id!r} is over; {decision_document['release']} is not deployed")
    switched = switch.deploy(decision_document["release"], decision_document["champion"])
    return SwitchResult(switched.done, switched.reasons or reasons)


def _champion_changed(rollout: Rollout, decision_document: dict[str, Any]) -> str:
    """Return why the comparison is outdated; "" if it is not."""
    now = rollout.current()
    if now in {decision_document["champion"], decision_document["release"]}:
        return ""
    return f"the champion changed from {decision_document['champion']} to {now} during the comparison"


def _promotion(decision_document: dict[str, Any], switched: SwitchResult) -> Promotion:
    return Promotion(
        release=decision_document["release"],
        champion=decision_document["champion"],
        promoted=switched.done,
        reasons=switched.reasons,
        metrics={name: decision_document[name] for name in ("before", "after", "confidence", "test_set")},
        decided=datetime.now(UTC),
    )


def _verdict(promotion: Promotion, run_id: str) -> Verdict:
    return Verdict(
        run_id=run_id,
        promoted=promotion.promoted,
        release=promotion.release,
        champion=promotion.champion,
        reasons=promotion.reasons,
        metrics=promotion.metrics,
        created=promotion.decided,
    )
