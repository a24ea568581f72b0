"""What MLflow is told: one run per training with a nested run per model, and three registered models.

Models are registered as their bundle, file by file: nothing is pickled, and `models:/text-predictor@champion`
downloads what a server loads. MLflow is imported on connecting, for its import alone takes seconds.
"""

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from tenacity import RetryError, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from product_classifier.errors import ProductClassifierError

if TYPE_CHECKING:
    from mlflow import MlflowClient

P = ParamSpec("P")
R = TypeVar("R")

MODELS = {"text": "text-predictor", "image": "image-predictor", "fusion": "fusion-transformer"}
"""Kind of bundle to name in the registry, which is also the name it is served under."""

CHAMPION = "champion"
BUNDLE = "bundle"


class TrackingUnavailable(ProductClassifierError):
    """MLflow does not answer, or refuses what it is told."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What one MLflow run shall hold."""

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    """Pages for people, by the name they shall have."""


class Tracking:
    """MLflow as this product uses it. Every call is tried a few times, then raises `TrackingUnavailable`."""

    def __init__(self, uri: str, experiment: str, attempts: int = 3) -> None:
        """Connect to `uri`, a server or an embedded `sqlite:///…`, which keeps its files beside the database."""
        self._uri = uri
        self._attempts = attempts
        self._client: MlflowClient = self._try(_client, uri)
        self._experiment: str = self._try(_experiment, self._client, experiment, _artifacts(uri))

    def log_run(self, record: RunRecord, parent: str | None = None) -> str:
        """Write a finished run; return its id."""
        tags = {"mlflow.runName": record.name, "mlflow.source.type": "PROJECT", **record.tags}
        if parent is not None:
            tags["mlflow.parentRunId"] = parent
        run: str = self._try(self._client.create_run, self._experiment, tags=tags).info.run_id
        self._try(self._client.log_batch, run, params=_params(record.params), metrics=_metrics(record.metrics))
        for name, path in record.files.items():
            self._try(self._client.log_text, run, path.read_text(encoding="utf-8"), name)
        self._try(self._client.set_terminated, run)
        return run

    def tag_run(self, run: str, key: str, value: str) -> None:
        self._try(self._client.set_tag, run, key, value)

    def register(self, name: str, bundle: Path, run: str, tags: Mapping[str, str]) -> str:
        """Add a bundle to a run and to the registry; return the new version."""
        self._try(self._client.log_artifacts, run, str(bundle), BUNDLE)
        self._try(_ensure_model, self._client, name)
        source = f"{self._try(self._client.get_run, run).info.artifact_uri}/{BUNDLE}"
        version = self._try(self._client.create_model_version, name, source, run, tags=dict(tags))
        return str(version.version)

    def has_run(self, run: str) -> bool:
        return bool(self._try(_run_exists, self._client, run))

    def runs_tagged(self, key: str, value: str) -> dict[str, str]:
        """Return the newest run of each name that has the tag."""
        found = self._try(self._client.search_runs, [self._experiment], f"tags.{key} = '{value}'")
        return {str(run.info.run_name): str(run.info.run_id) for run in reversed(found)}  # MLflow's newest come first

    def has_version(self, name: str, release: str) -> bool:
        """Tell whether the registry has this model of a release."""
        return bool(self._versions(name, release))

    def aliased(self) -> set[str]:
        """Return the releases of which a registered model has an alias, whoever gave it."""
        found = set()
        for name in MODELS.values():
            for model in self._try(self._client.search_registered_models, f"name='{name}'"):
                for version in model.aliases.values():
                    found.add(self._try(self._client.get_model_version, name, str(version)).tags.get("release", ""))
        return found - {""}

    def crown(self, release: str) -> None:
        """Point the alias `champion` of all three models at the versions of one release."""
        versions = {name: self._version_of(name, release) for name in MODELS.values()}
        for name, version in versions.items():
            self._try(self._client.set_registered_model_alias, name, CHAMPION, version)

    def _version_of(self, name: str, release: str) -> str:
        found = self._versions(name, release)
        if not found:
            raise TrackingUnavailable(
                f"MLflow at {_safe(self._uri)!r} has no version of {name!r} for release {release!r}"
            )
        return str(max(found, key=lambda version: int(version.version)).version)

    def _versions(self, name: str, release: str) -> list[Any]:
        return list(self._try(self._client.search_model_versions, f"name='{name}' and tags.release='{release}'"))

    def _try(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        expected = _errors()
        retrying = Retrying(
            retry=retry_if_exception_type(expected),
            stop=stop_after_attempt(self._attempts),
            wait=wait_exponential(multiplier=0.5, max=8),
        )
        try:
            return retrying(call, *args, **kwargs)
        except RetryError as error:
            cause = error.last_attempt.exception()
            first_line = _safe(str(cause).strip().partition("\n")[0])[:300]
            raise TrackingUnavailable(f"MLflow at {_safe(self._uri)!r} failed: {first_line}") from cause


def quieten() -> None:
    """Set, before MLflow is imported, what it reads from the environment."""
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
        "MLFLOW_CONFIGURE_LOGGING": "false",
    }.items():
        os.environ.setdefault(name, value)


def _client(uri: str) -> "MlflowClient":
    quieten()
    from mlflow import MlflowClient  # noqa: PLC0415 - takes seconds

    with _alone(uri):
        client = MlflowClient(uri)
        client.search_experiments(max_results=1)
    return client


@contextmanager
def _alone(uri: str) -> Iterator[None]:
    """Let one process at a time make the tables of an embedded database; two would collide."""
    if (database := _database(uri)) is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_name(f"{database.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _errors() -> tuple[type[Exception], ...]:
    quieten()
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - takes seconds
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - comes with MLflow

    return (MlflowException, SQLAlchemyError, OSError)


def _experiment(client: "MlflowClient", name: str, artifacts: str | None) -> str:
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    return str(client.create_experiment(name, artifact_location=artifacts))


def _artifacts(uri: str) -> str | None:
    """Return where an embedded MLflow keeps files; a server decides that itself."""
    database = _database(uri)
    return (database.parent / "mlartifacts").as_uri() if database is not None else None


def _database(uri: str) -> Path | None:
    return Path(uri.removeprefix("sqlite:///")).resolve() if uri.startswith("sqlite:///") else None


def _run_exists(client: "MlflowClient", run: str) -> bool:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415 - takes seconds

    try:
        return str(client.get_run(run).info.lifecycle_stage) == "active"
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return False
        raise


def _ensure_model(client: "MlflowClient", name: str) -> None:
    if not client.search_registered_models(f"name='{name}'"):
        client.create_registered_model(name)


def _params(values: Mapping[str, Any]) -> list[Any]:
    from mlflow.entities import Param  # noqa: PLC0415 - takes seconds

    return [Param(key, str(value)[:6000]) for key, value in values.items()]


def _metrics(values: Mapping[str, float]) -> list[Any]:
    from mlflow.entities import Metric  # noqa: PLC0415 - takes seconds

    now_ms = int(time.time() * 1000)
    return [Metric(key, float(value), now_ms, 0) for key, value in values.items()]


def _safe(text: str) -> str:
    """Drop user and password, which an address may hold."""
    return re.sub(r"(//|/)[^/@\s]+@", r"\1", text)
