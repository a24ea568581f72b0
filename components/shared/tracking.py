"""Client of MLflow: runs and registered models.

MLflow is imported on connecting, because the import takes seconds.
"""

import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from tenacity import RetryError, Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from product_classifier.errors import ProductClassifierError
from product_classifier.model_names import MODELS

if TYPE_CHECKING:
    from mlflow import MlflowClient

P = ParamSpec("P")
R = TypeVar("R")

CHAMPION = "champion"
MODEL = "model"
"""Artifact folder of a run that holds its `pyfunc` model."""
REFUSED = frozenset({401, 403, 404})
"""Statuses of answers that a repetition of the call does not change."""


class TrackingUnavailable(ProductClassifierError):
    """MLflow is unavailable or rejected a call."""


class RegistryRefused(TrackingUnavailable):
    """MLflow rejects a call for good: 401, 403, 404, or a release that was never registered."""


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """A dataset that a run read."""

    name: str
    context: str
    """What it was read for: training, validation or testing."""
    digest: str
    rows: int
    columns: Mapping[str, str]
    """Type of each column, as Parquet names it."""
    revision: str
    """Revision of the catalogue it is a part of."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """Content of one MLflow run."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    """Pages to store, by name."""
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Values of a metric by step, from 0."""
    datasets: Sequence[DatasetRecord] = ()
    started: datetime | None = None
    """Start of the work; None for now."""
    ended: datetime | None = None


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A version of a registered model, and what the registry shows of it."""

    name: str
    folder: Path
    """The model in the layout of MLflow."""
    description: str
    """Markdown."""
    tags: Mapping[str, str]
    model_description: str = ""
    """Markdown; that of the registered model, which a new version replaces."""
    model_tags: Mapping[str, str] = field(default_factory=dict)


class Tracking:
    """Client of MLflow; every call is retried, then raises `TrackingUnavailable`."""

    def __init__(self, uri: str, experiment: str, attempts: int = 3) -> None:
        """Connect to a server, or to an embedded `sqlite:///…` with artifacts beside the database."""
        self._uri = uri
        self._attempts = attempts
        self._client: MlflowClient = self._try(_client, uri)
        self._experiment: str = self._try(_experiment, self._client, experiment, _artifacts(uri))

    def log_run(self, record: RunRecord, parent: str | None = None) -> str:
        """Write a finished run, nested below `parent` if given; return its id."""
        tags = {"mlflow.runName": record.name, "mlflow.source.type": "PROJECT", **record.tags}
        if parent is not None:
            tags["mlflow.parentRunId"] = parent
        created = self._try(self._client.create_run, self._experiment, start_time=_ms(record.started), tags=tags)
        run: str = created.info.run_id
        metrics = _metrics(record.metrics) + _curves(record.curves)
        self._try(self._client.log_batch, run, params=_params(record.params), metrics=metrics)
        if record.datasets:
            self._try(self._client.log_inputs, run, datasets=[_dataset(one) for one in record.datasets])
        for name, path in record.files.items():
            self._try(self._client.log_text, run, path.read_text(encoding="utf-8"), name)
        self._try(self._client.set_terminated, run, end_time=_ms(record.ended))
        return run

    def extend_run(self, run: str, record: RunRecord) -> None:
        """Add metrics, tags and files to a run that `log_run` wrote; its end becomes that of the record."""
        for key, value in record.tags.items():
            self.tag_run(run, key, value)
        self._try(self._client.log_batch, run, metrics=_metrics(record.metrics))
        for name, path in record.files.items():
            self._try(self._client.log_text, run, path.read_text(encoding="utf-8"), name)
        self._try(self._client.set_terminated, run, end_time=_ms(record.ended))

    def rename_run(self, run: str, name: str) -> None:
        """Replace the name of a run."""
        self._try(self._client.update_run, run, name=name)

    def tag_run(self, run: str, key: str, value: str) -> None:
        """Set a tag of a run."""
        self._try(self._client.set_tag, run, key, value)

    def register(self, model: ModelVersion, run: str) -> str:
        """Upload a model to a run and register it as a model version; return the version."""
        self._try(self._client.log_artifacts, run, str(model.folder), MODEL)
        self._try(_ensure_model, self._client, model)
        source = f"{self._try(self._client.get_run, run).info.artifact_uri}/{MODEL}"
        version = self._try(
            self._client.create_model_version,
            model.name,
            source,
            run,
            tags=dict(model.tags),
            description=model.description,
        )
        return str(version.version)

    def has_run(self, run: str) -> bool:
        """Return whether a run exists and is not deleted."""
        return bool(self._try(_run_exists, self._client, run))

    def runs_tagged(self, key: str, value: str) -> dict[str, str]:
        """Return the newest run of each name with the tag, by name."""
        found = self._try(self._client.search_runs, [self._experiment], f"tags.{key} = '{value}'")
        return {
            str(run.info.run_name): str(run.info.run_id) for run in reversed(found)
        }  # MLflow returns the newest first

    def has_version(self, name: str, release: str) -> bool:
        """Return whether a registered model has a version of a release."""
        return bool(self._versions(name, release))

    def aliased(self) -> set[str]:
        """Return the releases with a model version that has any alias."""
        found = set()
        for name in MODELS:
            for model in self._try(self._client.search_registered_models, f"name='{name}'"):
                for version in model.aliases.values():
                    found.add(self._try(_release_of, self._client, name, str(version)))
        return found - {""}

    def set_champion_alias(self, release: str) -> None:
        """Set the alias `champion` of all three models to their versions of a release."""
        versions = {name: self._version_of(name, release) for name in MODELS}
        for name, version in versions.items():
            self._try(self._client.set_registered_model_alias, name, CHAMPION, version)

    def _version_of(self, name: str, release: str) -> str:
        found = self._versions(name, release)
        if not found:
            raise RegistryRefused(
                f"MLflow at {_without_credentials(self._uri)!r}: {name!r} has no version of release {release!r}; "
                f"run `python -m pipelines register {release}`"
            )
        return str(max(found, key=lambda version: int(version.version)).version)

    def _versions(self, name: str, release: str) -> list[Any]:
        return list(self._try(self._client.search_model_versions, f"name='{name}' and tags.release='{release}'"))

    def _try(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        expected = _errors()
        retrying = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, expected) and not _is_refused(error)),
            stop=stop_after_attempt(self._attempts),
            wait=wait_exponential(multiplier=0.5, max=8),
        )
        try:
            return retrying(call, *args, **kwargs)
        except RetryError as error:
            cause = error.last_attempt.exception()
            raise TrackingUnavailable(f"MLflow at {self._address()!r}: failed: {_first_line(cause)}") from cause
        except expected as error:
            raise RegistryRefused(f"MLflow at {self._address()!r}: refused: {_first_line(error)}") from error

    def _address(self) -> str:
        return _without_credentials(self._uri)


def configure_mlflow() -> None:
    """Set the variables that MLflow reads on import, unless they are set."""
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
        "MLFLOW_CONFIGURE_LOGGING": "false",
    }.items():
        os.environ.setdefault(name, value)


def _client(uri: str) -> "MlflowClient":
    configure_mlflow()
    from mlflow import MlflowClient  # noqa: PLC0415 - takes seconds

    with _database_lock(uri):
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
    return client


@contextmanager
def _database_lock(uri: str) -> Iterator[None]:
    """Lock an embedded database while a process creates its tables; do nothing for a server."""
    if (database := _database(uri)) is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_name(f"{database.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _errors() -> tuple[type[Exception], ...]:
    configure_mlflow()
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - takes seconds
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - comes with MLflow

    return (MlflowException, SQLAlchemyError, OSError)


def _experiment(client: "MlflowClient", name: str, artifacts: str | None) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    return str(client.create_experiment(name, artifact_location=artifacts))


def _artifacts(uri: str) -> str | None:
    """Return the artifact folder of an embedded MLflow; None for a server, which has its own."""
    database = _database(uri)
    return (database.parent / "mlartifacts").as_uri() if database is not None else None


def _database(uri: str) -> Path | None:
    return Path(uri.removeprefix("sqlite:///")).resolve() if uri.startswith("sqlite:///") else None


def _is_refused(error: BaseException) -> bool:
    """Return whether MLflow answered with a status after which the same call cannot succeed."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - takes seconds

    return isinstance(error, MlflowException) and error.get_http_status_code() in REFUSED


def _release_of(client: "MlflowClient", name: str, version: str) -> str:
    """Return the release of a model version; empty for none, or if an alias outlived its version."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - takes seconds

    try:
        return str(client.get_model_version(name, version).tags.get("release", ""))
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return ""
        raise


def _first_line(error: BaseException | None) -> str:
    return _without_credentials(str(error).strip().partition("\n")[0])[:300]


def _run_exists(client: "MlflowClient", run: str) -> bool:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - takes seconds

    try:
        return str(client.get_run(run).info.lifecycle_stage) == "active"
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise


def _ensure_model(client: "MlflowClient", model: ModelVersion) -> None:
    if not client.search_registered_models(f"name='{model.name}'"):
        client.create_registered_model(model.name)
    client.update_registered_model(model.name, model.model_description)
    for key, value in model.model_tags.items():
        client.set_registered_model_tag(model.name, key, value)


def _params(values: Mapping[str, Any]) -> list[Any]:
    from mlflow.entities import Param  # noqa: PLC0415 - takes seconds

    return [Param(key, str(value)[:6000]) for key, value in values.items()]


def _metrics(values: Mapping[str, float]) -> list[Any]:
    from mlflow.entities import Metric  # noqa: PLC0415 - takes seconds

    now_ms = int(time.time() * 1000)
    return [Metric(key, float(value), now_ms, 0) for key, value in values.items()]


def _curves(values: Mapping[str, Sequence[float]]) -> list[Any]:
    from mlflow.entities import Metric  # noqa: PLC0415 - takes seconds

    now_ms = int(time.time() * 1000)
    return [
        Metric(key, float(value), now_ms, step) for key, curve in values.items() for step, value in enumerate(curve)
    ]


def _dataset(record: DatasetRecord) -> Any:
    """Return a dataset as MLflow stores it; its source names the revision, since splits are made from a catalogue."""
    from mlflow.entities import Dataset, DatasetInput, InputTag  # noqa: PLC0415 - takes seconds

    source = {"tags": {"data_revision": record.revision, "split": record.name}}
    columns = [{"name": name, "type": type_name, "required": True} for name, type_name in record.columns.items()]
    dataset = Dataset(
        name=record.name,
        digest=record.digest,
        source_type="code",
        source=json.dumps(source),
        schema=json.dumps({"mlflow_colspec": columns}),
        profile=json.dumps({"num_rows": record.rows}),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", record.context)])


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)


def _without_credentials(text: str) -> str:
    """Remove user and password from URLs."""
    return re.sub(r"(//|/)[^/@\s]+@", r"\1", text)
