"""Do what the gate decided about a release: put it into service, or leave the champion where it is."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.shared.rollout.history import Promotion, find, record
from components.shared.rollout.retention import prune
from components.shared.rollout.rollout import Rollout, open_rollout
from components.shared.rollout.smoke import Smoke
from components.shared.rollout.switch import Switch, Switched
from components.shared.tracking import Tracking
from product_classifier.errors import ProductClassifierError, RunSuperseded
from product_classifier.evaluation.gate import GateLimits
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
    """Promote the release if the gate lets it pass; write the verdict (JSON) and return whether it is in service now.

    Safe to repeat: how a promotion ended is kept, and an attempt after that says the same again.

    Args:
        release: Id of a published release.
        decision: What `compare` decided about it.
        report: The page `compare` made of it.
        store: Where releases are published: file:///folder or s3://bucket.
        tracking_uri: Where MLflow is; the alias champion is moved there.
        rollout: Where releases are put into service: file:///folder or kserve://namespace.
        verdict: What became of it.
        service: Base URL of the fusion's server; empty: there is none to ask.
        run_id: The run this belongs to; empty for a training by hand.
        experiment: Name of the MLflow experiment.
        smoke_deadline_s: How long the servers may take to answer with the release.
        releases_kept: After a promotion older releases than the newest so many are deleted, unless somebody needs
            them; 0 keeps all.
    """
    objects = open_store(store)
    found = json.loads(decision.read_text(encoding="utf-8"))
    ended = find(objects, release)
    if ended is None:
        smoke = Smoke(service, GateLimits(**found["limits"]), smoke_deadline_s)
        switch = Switch(objects, open_rollout(rollout, objects), smoke)
        promotion = _promotion(found, _carry_out(found, switch, run_id))
        ended = record(objects, promotion, report.read_bytes())
    verdict.parent.mkdir(parents=True, exist_ok=True)
    verdict.write_text(ended.model_dump_json(indent=2) + "\n", encoding="utf-8")
    if run_id:
        write_verdict(RunStore(objects), _verdict(ended, run_id))
    if ended.promoted:
        tracking = Tracking(tracking_uri, experiment)
        tracking.set_champion_alias(release)
        if releases_kept:
            _prune(objects, rollout, tracking, releases_kept)
    return ended.promoted


def _prune(objects: ObjectStore, rollout: str, tracking: Tracking, keep: int) -> None:
    """Delete old releases; the promotion stands whether or not that works."""
    try:
        prune(objects, open_rollout(rollout, objects), tracking.aliased(), keep, datetime.now(UTC))
    except ProductClassifierError as error:
        sys.stderr.write(f"old releases are still there: {error}\n")


def _carry_out(found: dict[str, Any], switch: Switch, run_id: str) -> Switched:
    reasons = tuple(found["reasons"])
    if not found["promote"]:
        return Switched(done=False, reasons=reasons)
    if trouble := _overtaken(switch.rollout, found):
        return Switched(done=False, reasons=(trouble,))
    if run_id and is_run_finished(RunStore(switch.store), run_id):
        raise RunSuperseded(f"run {run_id!r} is over; {found['release']} stays out of service")
    switched = switch.put_into_service(found["release"], found["champion"])
    return Switched(switched.done, switched.reasons or reasons)


def _overtaken(rollout: Rollout, found: dict[str, Any]) -> str:
    """Return why the comparison is no longer about the release in service."""
    now = rollout.current()
    if now in {found["champion"], found["release"]}:
        return ""
    return f"the champion changed from {found['champion']} to {now} while this release was being judged"


def _promotion(found: dict[str, Any], switched: Switched) -> Promotion:
    return Promotion(
        release=found["release"],
        champion=found["champion"],
        promoted=switched.done,
        reasons=switched.reasons,
        metrics={name: found[name] for name in ("before", "after", "confidence", "test_set")},
        decided=datetime.now(UTC),
    )


def _verdict(ended: Promotion, run_id: str) -> Verdict:
    return Verdict(
        run_id=run_id,
        promoted=ended.promoted,
        release=ended.release,
        champion=ended.champion,
        reasons=ended.reasons,
        metrics=ended.metrics,
        created=ended.decided,
    )
