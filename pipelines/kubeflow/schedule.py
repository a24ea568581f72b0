"""Let Kubeflow Pipelines look for corrections by itself: a recurring run in place of the trigger's own process."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.compile import declared
from pipelines.kubeflow.api_errors import translated
from pipelines.kubeflow.submit import upload
from pipelines.parameters import fit
from pipelines.settings import Settings
from product_classifier.retraining.settings import RetrainSettings

NAME = "product-classifier-look"


def look_arguments(settings: Settings, retraining: RetrainSettings) -> dict[str, Any]:
    """Return what a look needs to know: what the trigger's own process reads from its environment."""
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


def schedule(client: Any, package: Path, arguments: Mapping[str, Any], cron: str, experiment: str) -> str:
    """Have the pipeline run by `cron` (six fields, seconds first); return the id. Takes the place of the one before.

    One at a time, and what was missed while the API was away is not made up for: each look sees everything. With the
    one before, the API deletes a look of it that is under way; the next one does the rest.
    """
    fitted = fit(arguments, declared(package))
    with translated(f"schedule {cron!r}"):
        pipeline, version = upload(client, package, NAME)
        before = _scheduled(client)
        created = client.create_recurring_run(
            client.create_experiment(experiment).experiment_id,
            NAME,
            cron_expression=cron,
            max_concurrency=1,
            no_catchup=True,
            params=fitted,
            pipeline_id=pipeline,
            version_id=version,
        )
        for one in before:
            client.delete_recurring_run(one)
    return str(created.recurring_run_id)


def _scheduled(client: Any) -> list[str]:
    predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": NAME}
    found = client.list_recurring_runs(page_size=100, filter=json.dumps({"predicates": [predicate]}))
    return [str(one.recurring_run_id) for one in found.recurring_runs or []]
