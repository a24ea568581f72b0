"""Register a published release in MLflow after an outage."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from components.shared.published_releases import fetch_release
from components.shared.registry import TrainingRecord, log_runs, register_models
from components.shared.tracking import Tracking
from product_classifier.bundles.bundle import KINDS
from product_classifier.model_names import BY_BUNDLE
from product_classifier.releases.release import Release
from product_classifier.store import open_store


def backfill_registry(release: str, store: str, tracking_uri: str, experiment: str = "product-classifier") -> list[str]:
    """Register the models of a published release that MLflow lacks; return their names.

    Aliases do not move: only a promotion or a rollback moves them. Idempotent, also after an interrupted call.
    """
    with tempfile.TemporaryDirectory() as folder:
        found = fetch_release(open_store(store), release, Path(folder))
        tracking = Tracking(tracking_uri, experiment)
        missing = [kind for kind in KINDS if not tracking.has_version(BY_BUNDLE[kind], release)]
        if missing:
            training = TrainingRecord(found.data_revision, found.meta.git_commit or "", {}, found.metrics)
            register_models(tracking, found, training, _runs(tracking, found, training), missing)
    return [BY_BUNDLE[kind] for kind in missing]


def _runs(tracking: Tracking, release: Release, training: TrainingRecord) -> Mapping[str, str]:
    """Return the runs the release names if MLflow has them, else those of an interrupted call, else new ones."""
    named = release.meta.mlflow_runs
    if named.keys() >= BY_BUNDLE.keys() and all(map(tracking.has_run, named.values())):
        return named
    tagged = tracking.runs_tagged("release", release.id)
    return tagged if tagged.keys() >= BY_BUNDLE.keys() else log_runs(tracking, training, {"release": release.id})
