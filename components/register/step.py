"""Assemble a release, publish it, and tell MLflow."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.shared.published_releases import publish
from components.shared.tracking import MODELS, RunRecord, Tracking, TrackingUnavailable
from product_classifier.releases.release import Release, ReleaseMeta, write_release
from product_classifier.store import open_store


@dataclass(frozen=True, slots=True)
class Training:
    """What MLflow shall know of a training besides the models."""

    data_revision: str
    git_commit: str
    parameters: Mapping[str, Mapping[str, Any]]
    """By kind of model, as its step was given them."""
    scores: Mapping[str, Any]
    report: Path | None = None

    @property
    def tags(self) -> dict[str, str]:
        return {"data_revision": self.data_revision, "git_commit": self.git_commit}

    @property
    def files(self) -> dict[str, Path]:
        return {"report.html": self.report} if self.report else {}


def run(
    text: Path,
    image: Path,
    fusion: Path,
    metrics: Path,
    report: Path,
    test: Path,
    release: Path,
    store: str,
    tracking_uri: str,
    data_revision: str,
    experiment: str = "product-classifier",
    git_commit: str = "",
    corrections: str = "",
    parameters: str = "{}",
) -> str:
    """Write the release folder, put it into the store, register its three models; return its id.

    The store comes before the registry's versions: when MLflow is away the release is kept, and the error names it.
    """
    scores = json.loads(metrics.read_text(encoding="utf-8")) | {"test_set": test_set(test)}
    scores.pop("confusion", None)  # is in the report, and three quarters of the file
    training = Training(data_revision, git_commit, json.loads(parameters), scores, report)
    runs, trouble, tracking = {}, None, None
    try:
        tracking = Tracking(tracking_uri, experiment)
        runs = log_runs(tracking, training)
    except TrackingUnavailable as error:
        trouble = error
    meta = ReleaseMeta(data_revision, corrections or None, git_commit or None, runs, scores)
    written = write_release(release, text, image, fusion, meta)
    publish(open_store(store, create=True), written)
    try:
        if tracking is None or trouble is not None:
            raise trouble or TrackingUnavailable("MLflow was not reached")
        register(tracking, written, training, runs)
    except TrackingUnavailable as error:
        raise TrackingUnavailable(f"{error}; release {written.id} is kept in {store}, but not registered") from error
    return written.id


def test_set(test: Path) -> str:
    """Name the products of the hold-out by their content, wherever they lie and in whatever order."""
    import pandas as pd

    columns = ["product_id", "designation", "description", "image_sha256", "code"]
    products = pd.read_parquet(test, columns=columns).sort_values("product_id")
    return hashlib.sha256(products.to_json(orient="values").encode()).hexdigest()[:16]


def log_runs(tracking: Tracking, training: Training, tags: Mapping[str, str] | None = None) -> dict[str, str]:
    """Write a run for the training and one below it for each model; return their ids by kind."""
    everything = {f"{kind}.{name}": value for kind in MODELS for name, value in _numbers(training, kind).items()}
    tags = {**training.tags, **(tags or {})}
    parent = tracking.log_run(RunRecord("training", {}, everything, tags, training.files))
    runs = {"training": parent}
    for kind in MODELS:
        record = RunRecord(kind, training.parameters.get(kind, {}), _numbers(training, kind), tags, training.files)
        runs[kind] = tracking.log_run(record, parent)
    return runs


def register(
    tracking: Tracking,
    release: Release,
    training: Training,
    runs: Mapping[str, str],
    kinds: Collection[str] = tuple(MODELS),
) -> None:
    """Add the models of these kinds to the registry, and the release's name to the runs."""
    tags = {"release": release.id, **training.tags}
    for kind in kinds:
        tracking.register(MODELS[kind], release.path / kind, runs[kind], tags)
    for run_id in runs.values():
        tracking.tag_run(run_id, "release", release.id)


def _numbers(training: Training, kind: str) -> dict[str, float]:
    scores = training.scores.get(kind, {})
    return {name: float(value) for name, value in scores.items() if isinstance(value, int | float)}
