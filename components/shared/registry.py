"""Register the models of a release in MLflow: a run, a nested run and a version per model."""

import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from components.shared.pyfunc_models import save_pyfunc
from components.shared.tracking import DatasetRecord, ModelVersion, RunRecord, Tracking
from product_classifier.bundles.bundle import KINDS, Kind
from product_classifier.model_names import BY_BUNDLE
from product_classifier.releases.release import Release

DESCRIPTIONS: Mapping[Kind, str] = {
    "text": "Category of a product from its `designation` and `description`.",
    "image": "Category of a product from its photo, the bytes of a file in the column `image`.",
    "fusion": "Category of a product from `designation`, `description` and `image`, or from those it has.",
}
"""Descriptions of the registered models."""


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """What MLflow stores of a training besides the models."""

    data_revision: str
    git_commit: str
    parameters: Mapping[str, Mapping[str, Any]]
    """Parameters of the training step, by kind of model."""
    scores: Mapping[str, Any]
    report: Path | None = None
    suspects: Path | None = None
    """The training labels that are probably wrong (JSON)."""
    corrections: Mapping[str, int] = field(default_factory=dict)
    """Number of corrections by what became of them."""
    snapshot: str = ""
    """SHA-256 of the snapshot of corrections."""
    folds: Sequence[Mapping[str, float]] = ()
    """Weighted F1 by kind of model on each fold, as `fit_fusion` writes it."""
    datasets: Sequence[DatasetRecord] = ()
    started: datetime | None = None
    """Start of the pipeline's run."""
    trained: Mapping[str, datetime] = field(default_factory=dict)
    """When each kind of model was complete."""

    @property
    def tags(self) -> dict[str, str]:
        """Return the tags of every run and version."""
        return {"data_revision": self.data_revision, "git_commit": self.git_commit}

    @property
    def files(self) -> dict[str, Path]:
        """Return the pages to store with every run, by name."""
        pages = {"report.html": self.report, "suspects.json": self.suspects}
        return {name: path for name, path in pages.items() if path is not None}

    def curves(self, kind: str) -> dict[str, list[float]]:
        """Return the curve of a kind of model: its F1 by fold."""
        values = [row[kind] for row in self.folds if kind in row]
        return {"fold_weighted_f1": values} if values else {}


def log_runs(tracking: Tracking, training: TrainingRecord, tags: Mapping[str, str] | None = None) -> dict[str, str]:
    """Write a run for the training and a nested run for each model; return their ids by kind."""
    params = {
        f"{kind}.{name}": value for kind in BY_BUNDLE for name, value in training.parameters.get(kind, {}).items()
    }
    metrics = {f"{kind}.{name}": value for kind in BY_BUNDLE for name, value in _metrics(training, kind).items()}
    metrics |= {f"corrections.{outcome}": count for outcome, count in training.corrections.items()}
    tags = {**training.tags, **(tags or {})}
    record = RunRecord(
        "training",
        {**params, **({"snapshot": training.snapshot} if training.snapshot else {})},
        metrics,
        tags,
        training.files,
        {f"{kind}.{name}": curve for kind in BY_BUNDLE for name, curve in training.curves(kind).items()},
        training.datasets,
        training.started,
    )
    parent = tracking.log_run(record)
    runs = {"training": parent}
    for kind in BY_BUNDLE:
        ended = training.trained.get(kind)
        record = RunRecord(
            kind,
            training.parameters.get(kind, {}),
            _metrics(training, kind),
            tags,
            training.files,
            curves=training.curves(kind),
            datasets=training.datasets,
            started=min(filter(None, (training.started, ended)), default=None),
            ended=ended,
        )
        runs[kind] = tracking.log_run(record, parent)
    return runs


def register_models(
    tracking: Tracking,
    release: Release,
    training: TrainingRecord,
    runs: Mapping[str, str],
    kinds: Collection[Kind] = KINDS,
) -> None:
    """Add a version of each kind of model; name the run of the training for the release."""
    tags = {"release": release.id, **training.tags}
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            model = Path(folder) / kind
            save_pyfunc(release, kind, model)
            tracking.register(_version(release, kind, model, training, tags), runs[kind])
    for run_id in runs.values():
        tracking.tag_run(run_id, "release", release.id)
    if "training" in runs:
        tracking.rename_run(runs["training"], release.id)


def _version(
    release: Release, kind: Kind, model: Path, training: TrainingRecord, tags: Mapping[str, str]
) -> ModelVersion:
    scores = _metrics(training, kind)
    shown = f"Weighted F1 {scores['weighted_f1']:.3f} on the hold-out" if "weighted_f1" in scores else "Not evaluated"
    taxonomy = release.taxonomy
    return ModelVersion(
        BY_BUNDLE[kind],
        model,
        f"Bundle `{release.versions[kind]}` of release `{release.id}`. {shown}. Learned from data revision "
        f"`{training.data_revision}`, {len(taxonomy.codes)} categories.",
        {**tags, "bundle": release.versions[kind], "taxonomy": taxonomy.digest[:16]},
        DESCRIPTIONS[kind],
        {"modality": kind, "task": "classification"},
    )


def _metrics(training: TrainingRecord, kind: str) -> dict[str, float]:
    scores = training.scores.get(kind, {})
    return {name: float(value) for name, value in scores.items() if isinstance(value, int | float)}
