"""Give the compiled pipeline to Kubeflow Pipelines, as a version named by its content, and start a run of it."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.compile import declared
from pipelines.kubeflow.api_errors import translated
from pipelines.parameters import fit
from product_classifier.errors import LauncherUnavailable, ProductClassifierError

PIPELINE = "product-classifier-training"


class RunFailed(ProductClassifierError):
    """A run on a cluster ended in another state than success."""


def submit(client: Any, package: Path, arguments: Mapping[str, Any], run_name: str, experiment: str) -> str:
    """Upload the pipeline unless this very version is there, start a run, and return its id."""
    fitted = fit(arguments, declared(package))
    with translated(f"run {run_name!r}"):
        pipeline, version = upload(client, package, PIPELINE)
        run = client.run_pipeline(
            client.create_experiment(experiment).experiment_id,
            run_name,
            pipeline_id=pipeline,
            version_id=version,
            params=fitted,
        )
    return str(run.run_id)


def wait(client: Any, run_id: str, timeout_s: float) -> None:
    """Return when the run has succeeded; raise `RunFailed` when it ends otherwise, or not in time."""
    try:
        run = client.wait_for_run_completion(run_id, timeout_s)
    except TimeoutError as error:
        raise RunFailed(f"run {run_id} has not ended after {timeout_s:.0f} s") from error
    if run.state.upper() != "SUCCEEDED":
        raise RunFailed(f"run {run_id} ended as {run.state}")


def connect(host: str, namespace: str, token: Path | None = None) -> Any:
    """Return a client, which asks the API for its health; the file `token`, if it exists, is read for every call."""
    import kfp  # noqa: PLC0415 - takes seconds
    from kfp.client.set_volume_credentials import ServiceAccountTokenVolumeCredentials  # noqa: PLC0415 - likewise
    from urllib3.exceptions import HTTPError  # noqa: PLC0415 - comes with kfp

    known = token is not None and token.exists()
    try:
        credentials = ServiceAccountTokenVolumeCredentials(str(token)) if known else None
        return kfp.Client(host=host, namespace=namespace, credentials=credentials)
    except (HTTPError, OSError, RuntimeError) as error:
        raise LauncherUnavailable(f"Kubeflow Pipelines at {host!r} does not answer: {error!s:.200}") from error


def upload(client: Any, package: Path, pipeline_name: str) -> tuple[str, str]:
    """Make a package a version of the pipeline of this name, unless it is one; return the ids of both."""
    name = hashlib.sha256(package.read_bytes()).hexdigest()[:12]
    pipeline = client.get_pipeline_id(pipeline_name)
    if pipeline is None:
        pipeline = client.upload_pipeline(str(package), pipeline_name).pipeline_id
    known = client.list_pipeline_versions(pipeline, page_size=100, sort_by="created_at desc").pipeline_versions or []
    version = next((one for one in known if one.display_name == name), None)
    if version is None:
        version = client.upload_pipeline_version(str(package), name, pipeline_id=pipeline)
    return str(pipeline), str(version.pipeline_version_id)
