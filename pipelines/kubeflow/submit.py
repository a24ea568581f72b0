"""Upload a compiled pipeline to Kubeflow Pipelines and start runs of it."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.compat.kfp import open_client, without_context_file
from pipelines.compile import declared_parameters
from pipelines.kubeflow.kfp_errors import translated_errors
from pipelines.parameters import cast_arguments
from product_classifier.errors import LauncherUnavailable, ProductClassifierError

PIPELINE = "product-classifier-training"


class RunFailed(ProductClassifierError):
    """A run on Kubeflow Pipelines did not succeed within the time given."""


def connect(host: str, namespace: str, token: Path | None = None) -> Any:
    """Return a client of the API; raise `LauncherUnavailable` if the API does not respond.

    Args:
        host: URL of the API.
        namespace: Namespace of the runs.
        token: File with a projected service account token, read for every request; ignored if it does not exist.
    """
    from kfp.client import ServiceAccountTokenVolumeCredentials  # noqa: PLC0415 - takes seconds
    from urllib3.exceptions import HTTPError  # noqa: PLC0415 - a dependency of kfp

    try:
        credentials = ServiceAccountTokenVolumeCredentials(str(token)) if token is not None and token.exists() else None
        with translated_errors(f"Kubeflow Pipelines at {host!r}, namespace {namespace!r}"), without_context_file():
            return open_client(host=host, namespace=namespace, credentials=credentials)
    except (HTTPError, RuntimeError) as error:
        raise LauncherUnavailable(
            f"Kubeflow Pipelines at {host!r} does not respond: {error!s:.200}; check KF_PIPELINES_ENDPOINT"
        ) from error


def submit_run(
    client: Any, package: Path, arguments: Mapping[str, Any], run_name: str, experiment: str, name: str = PIPELINE
) -> str:
    """Upload the pipeline `name` if this version of it is missing, start a run and return its id."""
    params = cast_arguments(arguments, declared_parameters(package))
    with translated_errors(f"run {run_name!r}"):
        pipeline, version = upload(client, package, name)
        run = client.run_pipeline(
            client.create_experiment(experiment).experiment_id,
            run_name,
            pipeline_id=pipeline,
            version_id=version,
            params=params,
        )
    return str(run.run_id)


def wait_for_run(client: Any, run_id: str, timeout_s: float) -> None:
    """Return when the run has succeeded; raise `RunFailed` if it ends otherwise or takes longer."""
    try:
        run = client.wait_for_run_completion(run_id, timeout_s)
    except TimeoutError as error:
        raise RunFailed(f"run {run_id} has not ended after {timeout_s:.0f} s; it continues") from error
    if run.state.upper() != "SUCCEEDED":
        raise RunFailed(f"run {run_id} ended as {run.state}; see its logs in Kubeflow Pipelines")


def name_filter(name: str) -> str:
    """Return the filter of a list request that matches a display name."""
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]})


def upload(client: Any, package: Path, pipeline_name: str) -> tuple[str, str]:
    """Upload a package unless it exists; return the ids of pipeline and version.

    The name of a version is the hash of its package.
    """
    name = hashlib.sha256(package.read_bytes()).hexdigest()[:12]
    pipeline = client.get_pipeline_id(pipeline_name)
    if pipeline is None:
        pipeline = client.upload_pipeline(str(package), pipeline_name).pipeline_id
    known = client.list_pipeline_versions(pipeline, page_size=100, sort_by="created_at desc").pipeline_versions or []
    version = next((one for one in known if one.display_name == name), None)
    if version is None:
        version = client.upload_pipeline_version(str(package), name, pipeline_id=pipeline)
    return str(pipeline), str(version.pipeline_version_id)
