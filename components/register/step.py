"""Assemble a release, publish it to the object store and register its models in MLflow."""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from components.shared.hold_out import hold_out_digest
from components.shared.published_releases import publish
from components.shared.registry import TrainingRecord, log_runs, register_models
from components.shared.tracked_datasets import describe_splits
from components.shared.tracking import RegistryRefused, Tracking, TrackingUnavailable
from product_classifier.bundles import bundle
from product_classifier.release_history.release_records import write_reports
from product_classifier.releases.release import ReleaseMeta, write_release
from product_classifier.store import open_store
from product_classifier.taxonomy import Taxonomy


def run(
    text: Path,
    image: Path,
    fusion: Path,
    metrics: Path,
    report: Path,
    test: Path,
    release: Path,
    taxonomy: Taxonomy,
    store: str,
    tracking_uri: str,
    data_revision: str,
    experiment: str = "product-classifier",
    git_commit: str = "",
    corrections: str = "",
    parameters: str = "{}",
    train: Path | None = None,
    validation: Path | None = None,
    merge_report: Path | None = None,
    suspects: Path | None = None,
    reference: Path | None = None,
    curves: Path | None = None,
    started: str = "",
) -> str:
    """Write the release folder, publish it, register its three models; return its id.

    The release is published before its models are registered, so an MLflow outage loses no training. An MLflow that
    refuses (401, 403, 404) costs the registration only, which is printed.

    Args:
        text: Bundle of the text model.
        image: Bundle of the image model.
        fusion: Bundle of the fusion model.
        metrics: Scores that `evaluate` wrote.
        report: Page that `evaluate` wrote.
        test: The hold-out the scores were measured on (parquet).
        release: Folder of the release to write.
        taxonomy: The categories the models were trained with.
        store: URL of the object store: file:///folder or s3://bucket.
        tracking_uri: URI of MLflow.
        data_revision: Revision of the catalogue the models were trained on.
        experiment: Name of the MLflow experiment.
        git_commit: Commit of the code; empty if unknown.
        corrections: SHA-256 of the snapshot of corrections; empty for none.
        parameters: JSON object of the training parameters by kind of model.
        train: The products the models were trained on (parquet).
        validation: The products they were trained or calibrated on (parquet).
        merge_report: What became of the corrections, as `merge_corrections` writes it (JSON).
        suspects: The training labels that are probably wrong (JSON).
        reference: Folder of the reference profile, which becomes part of the release.
        curves: Weighted F1 of each model by fold, as `fit_fusion` writes it (JSON).
        started: Start of the run (ISO 8601); empty for now.

    Raises:
        TrackingUnavailable: If MLflow failed; the message names the published release.
    """
    scores = json.loads(metrics.read_text(encoding="utf-8")) | {"test_set": hold_out_digest(test)}
    for name in ("confusion", "largest_confusions"):  # the report has them, and they are most of the file
        scores.pop(name, None)
    splits = {"train": train, "validation": validation, "test": test}
    merged = _read_json(merge_report, {})
    training = TrainingRecord(
        data_revision,
        git_commit,
        json.loads(parameters),
        scores,
        report,
        suspects,
        corrections=merged.get("corrections", {}),
        snapshot=corrections,
        folds=_read_json(curves, []),
        datasets=describe_splits({name: path for name, path in splits.items() if path is not None}, data_revision),
        started=datetime.fromisoformat(started) if started else None,
        trained={
            kind: datetime.fromisoformat(bundle.verify(folder).created)
            for kind, folder in (("text", text), ("image", image), ("fusion", fusion))
        },
    )
    runs, outage, tracking = {}, None, None
    try:
        tracking = Tracking(tracking_uri, experiment)
        runs = log_runs(tracking, training)
    except TrackingUnavailable as error:
        outage = error
    products = merged.get("products_by_code", {})
    meta = ReleaseMeta(data_revision, corrections or None, git_commit or None, runs, scores, products)
    written = write_release(release, text, image, fusion, meta, taxonomy, reference)
    opened = open_store(store, create=True)
    publish(opened, written)
    write_reports(
        opened,
        written.id,
        quality=metrics.read_bytes(),
        suspects=suspects.read_bytes() if suspects is not None else None,
    )
    try:
        if tracking is None or outage is not None:
            raise outage or TrackingUnavailable("MLflow: not reached")
        register_models(tracking, written, training, runs)
    except RegistryRefused as error:
        sys.stderr.write(f"{_unregistered(error, written.id, store)} MLflow accepts it\n")
    except TrackingUnavailable as error:
        raise TrackingUnavailable(f"{_unregistered(error, written.id, store)} MLflow is back") from error
    return written.id


def _read_json(path: Path | None, default: Any) -> Any:
    return default if path is None else json.loads(path.read_text(encoding="utf-8"))


def _unregistered(error: TrackingUnavailable, release: str, store: str) -> str:
    return (
        f"{error}; release {release} is published in {store} but not registered;"
        f" run `python -m pipelines register {release}` once"
    )
