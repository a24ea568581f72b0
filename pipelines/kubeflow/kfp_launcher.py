"""Runs on Kubeflow Pipelines.

`CreateRun` has no idempotency key and run names are not unique there, so a run is looked up by its name before it is
created, and its own first step settles which execution it is when there are two all the same.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import kfp

from pipelines.compile import declared
from pipelines.kubeflow.api_errors import translated
from pipelines.parameters import ParameterError, fit
from product_classifier.errors import LaunchRefused
from product_classifier.retraining.launcher import Execution

TIMEOUT_S = 15.0
PAGE = 100
STATES = {"SUCCEEDED": Execution.SUCCEEDED, "SKIPPED": Execution.FAILED, "FAILED": Execution.FAILED}
"""A run that is terminated goes CANCELING, then FAILED or CANCELED; whatever is not here may still be working."""
STATES["CANCELED"] = Execution.FAILED

Arguments = Callable[[str, str], Mapping[str, Any]]


class KfpLauncher:
    """Starts the compiled pipeline through `kfp.Client`."""

    def __init__(
        self,
        connect: Callable[[], kfp.Client],
        package: Path,
        experiment: str,
        arguments: Arguments,
        owner: Callable[[str], str | None],
    ) -> None:
        """`owner` says which execution has taken a run; `arguments` makes the pipeline's from run and snapshot."""
        self._connect = connect
        self._package = package
        self._experiment = experiment
        self._arguments = arguments
        self._owner = owner
        self._known: kfp.Client | None = None

    def find(self, run_id: str) -> Execution | None:
        """Return the state of the execution that is the run, or that may still become it."""
        found = self._named(run_id)
        owner = self._owner(run_id)
        if owner is not None:
            found = [run for run in found if run.run_id == owner]
        states = [STATES.get(str(run.state), Execution.ACTIVE) for run in found]
        if not states:
            return None
        return Execution.ACTIVE if Execution.ACTIVE in states else states[0]

    def start(self, run_id: str, snapshot: str) -> None:
        """Create the run."""
        with translated(f"run {run_id!r}"):
            client = self._client()
            experiment = client.create_experiment(self._experiment)
            client.run_pipeline(
                experiment.experiment_id,
                run_id,
                pipeline_package_path=str(self._package),
                params=self._fitted(run_id, snapshot),
            )

    def stop(self, run_id: str) -> None:
        """Terminate every execution of this name that is still working."""
        for run in self._named(run_id):
            if str(run.state) not in STATES and str(run.state) != "CANCELING":
                with translated(f"run {run_id!r}"):
                    self._client().terminate_run(run.run_id)

    def _fitted(self, run_id: str, snapshot: str) -> dict[str, Any]:
        try:
            return fit(self._arguments(run_id, snapshot), declared(self._package))
        except ParameterError as error:
            raise LaunchRefused(f"run {run_id!r}: {error}") from error

    def _named(self, run_id: str) -> list[Any]:
        """Return the executions of this name, oldest first."""
        predicate = {"operation": "EQUALS", "key": "display_name", "stringValue": run_id}
        with translated(f"run {run_id!r}"):
            listed = self._client().list_runs(
                page_size=PAGE, sort_by="created_at", filter=json.dumps({"predicates": [predicate]})
            )
        return [run for run in listed.runs or [] if run.display_name == run_id]

    def _client(self) -> kfp.Client:
        if self._known is None:
            self._known = _impatient(self._connect())
        return self._known


def _impatient(client: kfp.Client) -> kfp.Client:
    """Give every call of this client a time limit; it has none, and offers no way to set one."""
    transport = client._run_api.api_client.rest_client  # noqa: SLF001 - see above
    patient = transport.request

    def request(*args: Any, **kwargs: Any) -> Any:
        return patient(*args, **kwargs | {"_request_timeout": kwargs.get("_request_timeout") or TIMEOUT_S})

    transport.request = request
    transport.pool_manager.connection_pool_kw["retries"] = False  # the trigger itself looks again
    return client
