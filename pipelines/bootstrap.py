"""The first release of an empty deployment: raw files, a training, a release in service.

Repeating it changes nothing that is done: raw files in the store are kept, a run on Kubeflow Pipelines that is under
way is waited for, and with a release in service there is nothing to do.
"""

import tempfile
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from rich.console import Console
from tenacity import Retrying, retry_if_exception_type, retry_if_result, stop_after_delay, wait_fixed

from components.shared.rollout.rollout import Rollout, open_rollout
from pipelines.compile import compile_training, declared
from pipelines.kubeflow.kfp_launcher import KfpLauncher
from pipelines.kubeflow.submit import connect
from pipelines.local import run as local_run
from pipelines.parameters import fit, read_section, training_arguments
from pipelines.settings import Settings
from product_classifier.catalogue.raw_files import LABEL_FILES, PRODUCT_FILES
from product_classifier.catalogue.sample import make_sample
from product_classifier.errors import LauncherUnavailable, ProductClassifierError, StoreUnavailable
from product_classifier.retraining.launcher import Execution, Launcher
from product_classifier.store import ObjectStore, open_store

RUN = "bootstrap"
TRANSFERS = 16
T = TypeVar("T")


class NothingInService(ProductClassifierError):
    """The training ended without a release in service."""


class BootstrapSettings(BaseSettings):
    """What only a bootstrap decides; the field's name in capitals is the variable."""

    model_config = SettingsConfigDict(frozen=True, use_attribute_docstrings=True, extra="ignore", env_ignore_empty=True)

    products: int | None = Field(default=None, ge=27)
    """Size of the sample catalogue (PRODUCTS); params.yaml says it by default."""

    bootstrap_wait_s: float = Field(default=900.0, gt=0)
    """How long the store and MLflow may take to come up (BOOTSTRAP_WAIT_S)."""

    bootstrap_poll_s: float = Field(default=5.0, gt=0)
    """Seconds between two looks at what is waited for (BOOTSTRAP_POLL_S)."""


def run(settings: Settings, own: BootstrapSettings, console: Console) -> None:
    """Do what is missing."""

    def say(line: str) -> None:
        console.print(line, highlight=False)

    store = _when_up(own, lambda: open_store(settings.store, create=True))
    _when_up(own, lambda: check_tracking(settings.tracking))
    rollout = open_rollout(settings.rollout, store)
    if (current := rollout.current()) is not None:
        say(f"release {current} is in service: nothing to do")
        return
    if settings.raw == f"{settings.store}/raw":
        say(ensure_raw(store, own.products))
    _train(settings, own, console)
    say(f"release {in_service(rollout)} is in service")


def in_service(rollout: Rollout) -> str:
    """Return the release in service; `NothingInService` when there is none."""
    current = rollout.current()
    if current is None:
        raise NothingInService("the training ended, but no release is in service: its promotion says why")
    return current


def ensure_raw(store: ObjectStore, products: int | None) -> str:
    """Put the sample catalogue below `raw/`, unless a catalogue is there; say which it is.

    The table of labels goes last: without it there is no catalogue, with it all of it is there.
    """
    if any(store.exists(f"raw/{name}") for name in LABEL_FILES):
        return "raw/ holds a catalogue, which is used as it is"
    given = read_section("make_sample")
    size = products or int(given["products"])
    with tempfile.TemporaryDirectory() as folder:
        make_sample(Path(folder), size, int(given["seed"]))
        files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        tables = [path for path in files if path.name in {*PRODUCT_FILES, *LABEL_FILES}]
        _put(store, Path(folder), [path for path in files if path not in tables])
        for path in sorted(tables, key=lambda path: path.name in LABEL_FILES):
            _put(store, Path(folder), [path])
    return f"raw/ holds a sample of {size} products now"


def check_tracking(uri: str) -> None:
    """Raise `OSError` unless MLflow answers; an embedded one always does."""
    if uri.startswith(("http://", "https://")):
        urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=10).close()  # noqa: S310 - its scheme is checked


def wait_for(launcher: Launcher, name: str, poll_s: float) -> None:
    """Start the run of this name unless it is under way, and return when it is over.

    An API that does not answer says nothing about the run, so it is asked again.
    """
    if launcher.find(name) is not Execution.ACTIVE:
        launcher.start(name, "")
    again = retry_if_exception_type(LauncherUnavailable) | retry_if_result(lambda found: found is Execution.ACTIVE)
    Retrying(retry=again, wait=wait_fixed(poll_s))(launcher.find, name)


def _train(settings: Settings, own: BootstrapSettings, console: Console) -> None:
    """Run the pipeline on Kubeflow Pipelines when its API answers, else in this process."""
    package = compile_training(settings.state / "training.yaml")
    arguments = fit(training_arguments(settings, settings.raw), declared(package))
    try:
        client = connect(settings.pipelines_host, settings.pipelines_namespace, settings.pipelines_token)
    except LauncherUnavailable as error:
        console.print(f"{error}; the pipeline runs here", highlight=False)
        local_run.run(package, arguments, settings.state / "pipeline", console)
        return
    console.print("the pipeline runs on Kubeflow Pipelines", highlight=False)
    launcher = KfpLauncher(lambda: client, package, settings.experiment, lambda *_: arguments, lambda _: None)
    wait_for(launcher, RUN, own.bootstrap_poll_s)


def _when_up(own: BootstrapSettings, look: Callable[[], T]) -> T:
    """Return what `look` does, as soon as what it looks at is up."""
    patient = Retrying(
        retry=retry_if_exception_type((StoreUnavailable, OSError)),
        stop=stop_after_delay(own.bootstrap_wait_s),
        wait=wait_fixed(own.bootstrap_poll_s),
        reraise=True,
    )
    return patient(look)


def _put(store: ObjectStore, folder: Path, paths: Sequence[Path]) -> None:
    with ThreadPoolExecutor(TRANSFERS) as pool:
        list(pool.map(lambda path: store.put(f"raw/{path.relative_to(folder).as_posix()}", path.read_bytes()), paths))
