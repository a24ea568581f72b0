"""Start runs on Kubeflow Pipelines.

`CreateRun` has no idempotency key and run names are not unique. A run is therefore looked up by its name before it is
created, and if two executions exist nevertheless, the first step decides which of them is the run.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import kfp

from components.shared.kubernetes_api import ClusterError, Object
from components.shared.pod_problems import pending_reason
from pipelines.compat.kfp import set_request_timeout
from pipelines.compile import declared_parameters
from pipelines.kubeflow.kfp_errors import translated_errors
from pipelines.kubeflow.submit import name_filter
from pipelines.parameters import ParameterError, cast_arguments
from product_classifier.errors import LauncherUnavailable, LaunchRefused
from product_classifier.retraining.launcher import Execution

REQUEST_TIMEOUT_S = 15.0
PAGE_SIZE = 100
RUN_LABEL = "pipeline/runid"
"""Label of the pods of an execution; its value is the id of the execution."""

ENDED = {
    "SUCCEEDED": Execution.SUCCEEDED,
    "SKIPPED": Execution.FAILED,
    "FAILED": Execution.FAILED,
    "CANCELED": Execution.FAILED,
}
"""States of runs that have ended. A run in any other state may still be active, also in CANCELING."""

Arguments = Callable[[str, str], Mapping[str, Any]]


class KfpLauncher:
    """Starts runs of the compiled pipeline with `kfp.Client`."""

    def __init__(
        self,
        connect: Callable[[], kfp.Client],
        package: Path,
        experiment: str,
        arguments: Arguments,
        owner: Callable[[str], str | None],
        pods: Callable[[str], Sequence[Object]] = lambda _: (),
    ) -> None:
        """Create a launcher that connects on its first request.

        Args:
            connect: Returns a client.
            package: The compiled pipeline.
            experiment: Name of the experiment of the runs.
            arguments: Returns the pipeline parameters for a run id and a snapshot.
            owner: Returns the execution that owns a run, None if no execution does yet.
            pods: Returns the pods with a label, `name=value`; the API of Kubeflow Pipelines does not report why a pod
                does not start.
        """
        self._connect = connect
        self._package = package
        self._experiment = experiment
        self._arguments = arguments
        self._owner = owner
        self._pods = pods
        self._connected: kfp.Client | None = None

    def find(self, run_id: str) -> Execution | None:
        """Return the state of the owner of the run or, if it has none, of the executions of its name."""
        found = self._executions(run_id)
        owner = self._owner(run_id)
        if owner is not None:
            found = [run for run in found if run.run_id == owner]
        states = [ENDED.get(str(run.state), Execution.ACTIVE) for run in found]
        if not states:
            return None
        return Execution.ACTIVE if Execution.ACTIVE in states else states[0]

    def start(self, run_id: str, snapshot: str) -> None:
        """Create an execution of the run."""
        with translated_errors(f"run {run_id!r}"):
            client = self._client()
            experiment = client.create_experiment(self._experiment)
            client.run_pipeline(
                experiment.experiment_id,
                run_id,
                pipeline_package_path=str(self._package),
                params=self._params(run_id, snapshot),
            )

    def pending_reason(self, run_id: str) -> str:
        """Return why a pod of an active execution of the run does not start."""
        try:
            active = [run.run_id for run in self._executions(run_id) if str(run.state) not in ENDED]
            return "; ".join(filter(None, (pending_reason(self._pods(f"{RUN_LABEL}={one}")) for one in active)))
        except (LauncherUnavailable, ClusterError):
            return ""

    def stop(self, run_id: str) -> None:
        """Terminate all active executions of the run."""
        for run in self._executions(run_id):
            if str(run.state) not in ENDED and str(run.state) != "CANCELING":
                with translated_errors(f"run {run_id!r}"):
                    self._client().terminate_run(run.run_id)

    def _params(self, run_id: str, snapshot: str) -> dict[str, Any]:
        try:
            return cast_arguments(self._arguments(run_id, snapshot), declared_parameters(self._package))
        except ParameterError as error:
            raise LaunchRefused(f"run {run_id!r}: {error}") from error

    def _executions(self, run_id: str) -> list[Any]:
        """Return the executions of a run, oldest first."""
        with translated_errors(f"run {run_id!r}"):
            listed = self._client().list_runs(page_size=PAGE_SIZE, sort_by="created_at", filter=name_filter(run_id))
        return [run for run in listed.runs or [] if run.display_name == run_id]

    def _client(self) -> kfp.Client:
        if self._connected is None:
            client = self._connect()
            set_request_timeout(client, REQUEST_TIMEOUT_S)
            self._connected = client
        return self._connected
