"""Schedule the retrain trigger or monitoring as a recurring run of Kubeflow Pipelines."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.compile import declared_parameters
from pipelines.kubeflow.kfp_errors import translated_errors
from pipelines.kubeflow.submit import name_filter, upload
from pipelines.parameters import cast_arguments
from pipelines.settings import PipelineSettings
from product_classifier.retraining.settings import RetrainSettings


@dataclass(frozen=True, slots=True)
class RecurringRun:
    """Name of a recurring run and of its pipeline."""

    name: str
    former_names: tuple[str, ...] = ()
    """Recurring runs that earlier versions scheduled."""


RECONCILE = RecurringRun("product-classifier-reconcile", ("product-classifier-look",))


def reconcile_arguments(settings: PipelineSettings, retraining: RetrainSettings) -> dict[str, Any]:
    """Return the arguments of a reconciliation: what the trigger's process reads from its environment."""
    return {
        "store": settings.store,
        "raw": settings.raw,
        "tracking_uri": settings.tracking,
        "experiment": settings.experiment,
        "rollout": settings.rollout,
        "endpoint": settings.pipelines_host,
        "namespace": settings.pipelines_namespace,
        "min_corrections": retraining.min_corrections,
        "cooldown_s": retraining.cooldown_s,
    }


def create_schedule(
    client: Any,
    package: Path,
    arguments: Mapping[str, Any],
    cron: str,
    experiment: str,
    schedule: RecurringRun = RECONCILE,
) -> str:
    """Create a recurring run, delete those it replaces, and return its id.

    Runs never overlap, and times missed while the API was down are skipped: each reconciliation reads the whole state.
    The API deletes an active run of a deleted recurring run; the next one continues its work.

    Args:
        client: A `kfp.Client`.
        package: The compiled pipeline.
        arguments: Its parameters.
        cron: Six fields, seconds first.
        experiment: Name of the experiment of the runs.
        schedule: What is scheduled.
    """
    params = cast_arguments(arguments, declared_parameters(package))
    with translated_errors(f"schedule {cron!r}"):
        pipeline, version = upload(client, package, schedule.name)
        replaced = [one for name in (schedule.name, *schedule.former_names) for one in _recurring_runs(client, name)]
        created = client.create_recurring_run(
            client.create_experiment(experiment).experiment_id,
            schedule.name,
            cron_expression=cron,
            max_concurrency=1,
            no_catchup=True,
            params=params,
            pipeline_id=pipeline,
            version_id=version,
        )
        for recurring_run in replaced:
            client.delete_recurring_run(recurring_run)
    return str(created.recurring_run_id)


def _recurring_runs(client: Any, name: str) -> list[str]:
    found = client.list_recurring_runs(
        page_size=100, filter=name_filter(name), namespace=client.get_user_namespace() or None
    )
    return [str(one.recurring_run_id) for one in found.recurring_runs or []]
