"""The training pipeline, from raw files to a promoted release."""

from typing import NamedTuple

from kfp import dsl

from components.compare.component import compare
from components.evaluate.component import evaluate
from components.find_suspects.component import find_suspects
from components.fit_fusion.component import fit_fusion
from components.merge_corrections.component import merge_corrections
from components.prepare_catalogue.component import prepare_catalogue
from components.profile_reference.component import profile_reference
from components.promote.component import promote
from components.register.component import register
from components.split_catalogue.component import split_catalogue
from components.start_run.component import start_run
from components.train_image.component import train_image
from components.train_text.component import train_text
from pipelines.task_configuration import LARGE, RUN_MINUTES, SMALL, configure_task


class TrainingOutputs(NamedTuple):
    """Outputs of a run."""

    release: str
    promoted: bool
    scores: dsl.Artifact
    verdict: dsl.Artifact


@dsl.pipeline(
    name="training",
    description="Train the text, image and fusion models; release and promote them.",
    pipeline_config=dsl.PipelineConfig(active_deadline_seconds=RUN_MINUTES * 60),
)
def training(
    raw: str,
    store: str,
    tracking_uri: str,
    rollout: str,
    experiment: str = "product-classifier",
    run_id: str = "",
    snapshot: str = "",
    cache_buster: str = "",
    layout: str = "",
    service: str = "",
    git_commit: str = "",
    seed: int = 27,
    max_reject_share: float = 0.05,
    share_train: float = 0.7,
    share_validation: float = 0.1,
    share_test: float = 0.1,
    share_unseen: float = 0.1,
    text_buckets: int = 262144,
    text_C: float = 1.0,  # noqa: N803 - scikit-learn's name
    text_encoder: str = "",
    text_epochs: int = 3,
    text_budget_s: float = 600.0,
    text_learning_rate: float = 0.00005,
    text_head_learning_rate: float = 0.0005,
    text_batch_size: int = 0,
    text_micro_batch_size: int = 0,
    text_patience: int = 3,
    image_backbone: str = "efficientnet-lite0",
    image_size: int = 176,
    image_precision: str = "int8",
    image_C: float = 0.01,  # noqa: N803 - scikit-learn's name
    image_epochs: int = 30,
    image_budget_s: float = 600.0,
    image_learning_rate: float = 0.0001,
    image_head_learning_rate: float = 0.004,
    image_batch_size: int = 0,
    image_micro_batch_size: int = 0,
    image_patience: int = 8,
    target_precision: float = 0.95,
    suspects_limit: int = 200,
    gate_min_gain: float = 0.002,
    gate_confidence: float = 0.9,
    gate_min_items: int = 10,
    gate_max_drop: float = 0.25,
    gate_max_slowdown: float = 3.0,
    gate_slow_ms: float = 50.0,
    gate_resamples: int = 2000,
    smoke_deadline_s: float = 180.0,
    releases_kept: int = 20,
) -> TrainingOutputs:
    run = start_run(store=store, raw=raw, run_id=run_id, cache_buster=cache_buster, snapshot=snapshot)
    files = {"raw": raw, "raw_revision": run.outputs["raw_revision"]}

    catalogue = prepare_catalogue(
        layout=layout, max_reject_share=max_reject_share, cache_key=run.outputs["cache_key"], store=store, **files
    )

    splits = split_catalogue(
        catalogue=catalogue.outputs["catalogue"],
        share_train=share_train,
        share_validation=share_validation,
        share_test=share_test,
        share_unseen=share_unseen,
        store=store,
    )
    by_split = {split: splits.outputs[split] for split in ("train", "validation", "test", "unseen")}
    test = by_split["test"]

    corrected = merge_corrections(
        taxonomy=catalogue.outputs["taxonomy"],
        **by_split,
        snapshot=snapshot,
        photo_revision=run.outputs["photo_revision"],
        store=store,
    )
    train, validation = corrected.outputs["merged"], corrected.outputs["calibration"]
    taxonomy = corrected.outputs["answerable"]

    text = train_text(
        taxonomy=taxonomy,
        train=train,
        validation=validation,
        buckets=text_buckets,
        C=text_C,
        encoder=text_encoder,
        epochs=text_epochs,
        budget_s=text_budget_s,
        learning_rate=text_learning_rate,
        head_learning_rate=text_head_learning_rate,
        batch_size=text_batch_size,
        micro_batch_size=text_micro_batch_size,
        patience=text_patience,
        seed=seed,
        store=store,
    )
    image = train_image(
        taxonomy=taxonomy,
        train=train,
        validation=validation,
        backbone=image_backbone,
        size=image_size,
        precision=image_precision,
        C=image_C,
        epochs=image_epochs,
        budget_s=image_budget_s,
        learning_rate=image_learning_rate,
        head_learning_rate=image_head_learning_rate,
        batch_size=image_batch_size,
        micro_batch_size=image_micro_batch_size,
        patience=image_patience,
        seed=seed,
        store=store,
        **files,
    )
    models = {"text": text.outputs["model"], "image": image.outputs["model"]}

    fusion = fit_fusion(
        taxonomy=taxonomy,
        train=train,
        validation=validation,
        text_out_of_fold=text.outputs["out_of_fold"],
        image_out_of_fold=image.outputs["out_of_fold"],
        target_precision=target_precision,
        seed=seed,
        store=store,
    )
    models["fusion"] = fusion.outputs["model"]

    suspected = find_suspects(
        taxonomy=taxonomy,
        train=train,
        validation=validation,
        text_out_of_fold=text.outputs["out_of_fold"],
        image_out_of_fold=image.outputs["out_of_fold"],
        fusion=models["fusion"],
        limit=suspects_limit,
        store=store,
        **files,
    )

    profiled = profile_reference(
        train=train,
        validation=validation,
        text_out_of_fold=text.outputs["out_of_fold"],
        image_out_of_fold=image.outputs["out_of_fold"],
        fusion=models["fusion"],
        seed=seed,
        store=store,
        **files,
    )

    evaluated = evaluate(taxonomy=taxonomy, test=test, store=store, **models, **files)

    release = register(
        taxonomy=taxonomy,
        **models,
        metrics=evaluated.outputs["scores"],
        report=evaluated.outputs["report"],
        suspects=suspected.outputs["suspects"],
        reference=profiled.outputs["reference"],
        curves=fusion.outputs["curves"],
        merge_report=corrected.outputs["report"],
        train=train,
        validation=validation,
        test=test,
        unseen=by_split["unseen"],
        data_revision=catalogue.outputs["Output"],
        snapshot=snapshot,
        tracking_uri=tracking_uri,
        experiment=experiment,
        git_commit=git_commit,
        started=run.outputs["started"],
        store=store,
    )

    compared = compare(
        release=release.outputs["Output"],
        test=test,
        rollout=rollout,
        min_gain=gate_min_gain,
        confidence=gate_confidence,
        min_items=gate_min_items,
        max_drop=gate_max_drop,
        max_slowdown=gate_max_slowdown,
        slow_ms=gate_slow_ms,
        resamples=gate_resamples,
        seed=seed,
        store=store,
        **files,
    )

    promoted = promote(
        release=release.outputs["Output"],
        decision=compared.outputs["decision"],
        report=compared.outputs["report"],
        tracking_uri=tracking_uri,
        experiment=experiment,
        rollout=rollout,
        service=service,
        smoke_deadline_s=smoke_deadline_s,
        releases_kept=releases_kept,
        run_id=run_id,
        store=store,
    )

    for task in (run, release, compared, promoted):
        configure_task(task, SMALL)
    for task in (catalogue, splits, corrected, fusion, suspected, profiled, evaluated):
        configure_task(task, SMALL, cached=True)
    for task in (text, image):
        configure_task(task, LARGE, cached=True)

    return TrainingOutputs(
        release=release.outputs["Output"],
        promoted=promoted.outputs["Output"],
        scores=evaluated.outputs["scores"],
        verdict=promoted.outputs["verdict"],
    )
