"""Tell MLflow of a release that was published while it was away."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from components.register.step import Training, log_runs, register
from components.shared.published_releases import materialise
from components.shared.tracking import MODELS, Tracking
from product_classifier.releases.release import Release
from product_classifier.store import open_store


def run(release: str, store: str, tracking_uri: str, experiment: str = "product-classifier") -> list[str]:
    """Register the models of a published release that MLflow does not have; return their names.

    Aliases stay where they are: putting a release into service is for `promote` to do. Safe to repeat, also after
    an attempt that ended half-way.
    """
    with tempfile.TemporaryDirectory() as folder:
        found = materialise(open_store(store), release, Path(folder))
        tracking = Tracking(tracking_uri, experiment)
        missing = [kind for kind, name in MODELS.items() if not tracking.has_version(name, release)]
        if missing:
            training = Training(found.data_revision, found.meta.git_commit or "", {}, found.metrics)
            register(tracking, found, training, _runs(tracking, found, training), missing)
    return [MODELS[kind] for kind in missing]


def _runs(tracking: Tracking, release: Release, training: Training) -> Mapping[str, str]:
    """Return the runs the release names, if MLflow has them; else those of an earlier attempt, or new ones."""
    named = release.meta.mlflow_runs
    if named.keys() >= MODELS.keys() and all(map(tracking.has_run, named.values())):
        return named
    tagged = tracking.runs_tagged("release", release.id)
    return tagged if tagged.keys() >= MODELS.keys() else log_runs(tracking, training, {"release": release.id})
