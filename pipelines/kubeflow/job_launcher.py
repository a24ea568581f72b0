"""Runs as Jobs of this cluster, where there is no Kubeflow Pipelines: one pod does the whole pipeline.

The Job is made from a CronJob, as `kubectl create job --from=cronjob/training` does. That CronJob is suspended: it is
where a deployment says with which image, rights and sizes to train. A Job has the name of its run, and names are
unique, so a run is started once however often it is asked for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from components.shared.kubernetes_api import (
    CRON_JOB,
    JOB,
    ClusterApi,
    ClusterError,
    Conflict,
    Invalid,
    NotThere,
    Object,
)
from pipelines.retrain.launchers import run_words
from product_classifier.errors import LauncherUnavailable, LaunchRefused
from product_classifier.retraining.launcher import Execution

ENDS = {"Complete": Execution.SUCCEEDED, "Failed": Execution.FAILED}


class JobLauncher:
    """Starts Jobs in a namespace from a template that is there."""

    def __init__(self, api: ClusterApi, template: str = "training") -> None:
        self._api = api
        self._template = template

    def find(self, run_id: str) -> Execution | None:
        """Return how far the Job of this name is."""
        with _translated(run_id):
            try:
                job = self._api.get(JOB, run_id)
            except NotThere:
                return None
        ends = (ENDS.get(one["type"]) for one in _conditions(job) if one["status"] == "True")
        return next(filter(None, ends), Execution.ACTIVE)

    def start(self, run_id: str, snapshot: str) -> None:
        """Create the Job, unless it is there."""
        with _translated(run_id):
            template = self._api.get(CRON_JOB, self._template)
            try:
                self._api.create(JOB, _job(template, run_id, snapshot))
            except Conflict:
                return

    def stop(self, run_id: str) -> None:
        """Let the Job's time be over: it ends as failed, and stays to be read about."""
        if self.find(run_id) is Execution.ACTIVE:
            with _translated(run_id):
                self._api.patch(JOB, run_id, {"spec": {"activeDeadlineSeconds": 1}})


def _job(template: Object, run_id: str, snapshot: str) -> Object:
    made = deepcopy(template["spec"]["jobTemplate"])
    container = made["spec"]["template"]["spec"]["containers"][0]
    container["args"] = [*container.get("args", []), *run_words(run_id, snapshot)]
    about = {"name": run_id, "labels": made.get("metadata", {}).get("labels", {})}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": about, "spec": made["spec"]}


def _conditions(job: Object) -> list[dict[str, Any]]:
    return (job.get("status") or {}).get("conditions") or []


@contextmanager
def _translated(run_id: str) -> Iterator[None]:
    try:
        yield
    except Invalid as error:
        raise LaunchRefused(f"run {run_id!r}: {error}") from error
    except ClusterError as error:
        raise LauncherUnavailable(f"run {run_id!r}: {error}") from error
