"""Start runs as Kubernetes Jobs, in clusters without Kubeflow Pipelines.

One pod runs the whole pipeline. Its Job is created from a suspended CronJob, as `kubectl create job
--from=cronjob/training` does; the CronJob is the deployment's template for image, permissions and resources. A Job has
the name of its run, and names are unique, so repeated requests start a run once.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from functools import cached_property
from typing import Any

from components.shared.kubernetes_api import (
    CRON_JOB,
    JOB,
    ClusterApi,
    ClusterError,
    Conflict,
    Invalid,
    NotFound,
    Object,
)
from components.shared.pod_problems import pending_reason
from pipelines.parameters import run_options
from product_classifier.errors import LauncherUnavailable, LaunchRefused
from product_classifier.retraining.launcher import Execution

ENDED = {"Complete": Execution.SUCCEEDED, "Failed": Execution.FAILED}
"""Conditions of a Job that has ended."""
RELEASE_JOB_REQUESTS = {"cpu": "50m", "memory": "512Mi"}
"""A Job about releases trains nothing; with the requests of a training it could wait for a larger node."""
Arguments = Callable[[str, str], Sequence[str]]


class JobLauncher:
    """Starts Jobs in a namespace."""

    def __init__(
        self,
        connect: Callable[[], ClusterApi],
        template: str = "training",
        arguments: Arguments = run_options,
        prefix: str = "",
        *,
        trains: bool = True,
    ) -> None:
        """Create a launcher.

        Args:
            connect: Returns what creates the Jobs; called when the first one is found or started.
            template: Name of the CronJob.
            arguments: Returns what is added to the arguments of its container, of an id and a snapshot.
            prefix: Of the names of the Jobs, before the id.
            trains: Whether the Jobs train; others replace the arguments of the template and request less.
        """
        self._connect = connect
        self._template = template
        self._arguments = arguments
        self._prefix = prefix
        self._trains = trains

    @cached_property
    def _api(self) -> ClusterApi:
        return self._connect()

    def find(self, run_id: str) -> Execution | None:
        """Return the state of the Job with this name, None if there is none."""
        with _translated_errors(run_id):
            try:
                job = self._api.get(JOB, self._prefix + run_id)
            except NotFound:
                return None
        ended = (ENDED.get(condition["type"]) for condition in _conditions(job) if condition["status"] == "True")
        return next(filter(None, ended), Execution.ACTIVE)

    def start(self, run_id: str, snapshot: str) -> None:
        """Create the Job unless it exists."""
        with _translated_errors(run_id):
            template = self._api.get(CRON_JOB, self._template)
            try:
                self._api.create(JOB, self._job(template, run_id, snapshot))
            except Conflict:
                return

    def _job(self, template: Object, run_id: str, snapshot: str) -> Object:
        job = deepcopy(template["spec"]["jobTemplate"])
        container = job["spec"]["template"]["spec"]["containers"][0]
        given = container.get("args", []) if self._trains else []
        container["args"] = [*given, *self._arguments(run_id, snapshot)]
        if not self._trains:
            container.setdefault("resources", {}).setdefault("requests", {}).update(RELEASE_JOB_REQUESTS)
        metadata = {"name": self._prefix + run_id, "labels": job.get("metadata", {}).get("labels", {})}
        return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": job["spec"]}

    def pending_reason(self, run_id: str) -> str:
        """Return why the pod of a Job does not start."""
        try:
            return pending_reason(self._api.pods(f"job-name={self._prefix}{run_id}"))
        except ClusterError:
            return ""

    def stop(self, run_id: str) -> None:
        """Let the deadline of an active Job pass: it ends as failed and can still be inspected."""
        if self.find(run_id) is Execution.ACTIVE:
            with _translated_errors(run_id):
                self._api.patch(JOB, self._prefix + run_id, {"spec": {"activeDeadlineSeconds": 1}})


def _conditions(job: Object) -> list[dict[str, Any]]:
    return (job.get("status") or {}).get("conditions") or []


@contextmanager
def _translated_errors(run_id: str) -> Iterator[None]:
    try:
        yield
    except Invalid as error:
        raise LaunchRefused(f"run {run_id!r}: {error}") from error
    except ClusterError as error:
        raise LauncherUnavailable(f"run {run_id!r}: {error}") from error
