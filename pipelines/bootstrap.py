"""Create the first release of an empty deployment: upload raw files, train, deploy.

Safe to repeat: raw files in the store are kept, an active run on Kubeflow Pipelines is waited for, and with a
deployed release nothing is done.
"""

import tempfile
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from tenacity import Retrying, retry_if_exception_type, retry_if_result, stop_after_delay, wait_fixed

from components.shared.rollout.rollout import Rollout, open_rollout
from pipelines.compile import compile_training, declared_parameters
from pipelines.kubeflow.kfp_launcher import KfpLauncher
from pipelines.kubeflow.submit import connect
from pipelines.local.runner import run_pipeline
from pipelines.parameters import cast_arguments, read_section, training_arguments
from pipelines.settings import BootstrapSettings, PipelineSettings
from product_classifier.catalogue.challenge.challenge_files import LABEL_FILES, PRODUCT_FILES
from product_classifier.catalogue.challenge.sample import make_sample
from product_classifier.errors import LauncherUnavailable, ProductClassifierError, StoreUnavailable
from product_classifier.retraining.launcher import Execution, Launcher
from product_classifier.store import ObjectStore, open_store

RUN_NAME = "bootstrap"
UPLOAD_THREADS = 16
HEALTH_TIMEOUT_S = 10.0
T = TypeVar("T")


class NoReleaseDeployed(ProductClassifierError):
    """The training run ended without a deployed release."""


def bootstrap(pipeline: PipelineSettings, settings: BootstrapSettings, console: Console) -> None:
    """Do the steps that are missing until a release is deployed; print each.

    Raises:
        NoReleaseDeployed: If the training run deploys none.
        StoreUnavailable, OSError: If the store or MLflow does not start in time.
    """

    def show(message: str) -> None:
        console.print(message, highlight=False)

    store = _wait_until_available(settings, lambda: open_store(pipeline.store, create=True))
    _wait_until_available(settings, lambda: check_tracking(pipeline.tracking))
    rollout = open_rollout(pipeline.rollout, store)
    if (current := rollout.current()) is not None:
        show(f"release {current} is deployed: nothing to do")
        return
    if pipeline.raw == f"{pipeline.store}/raw":
        show(upload_sample(store, settings.products))
    _train(pipeline, settings, console)
    show(f"release {deployed_release(rollout)} is deployed")


def deployed_release(rollout: Rollout) -> str:
    """Return the id of the deployed release; raise `NoReleaseDeployed` if there is none."""
    current = rollout.current()
    if current is None:
        raise NoReleaseDeployed("the training run has ended without a deployed release; see the verdict of `promote`")
    return current


def upload_sample(store: ObjectStore, products: int | None) -> str:
    """Upload the sample catalogue to `raw/` unless a catalogue is there; return a message.

    The label table is uploaded last and marks the catalogue as complete.
    """
    if any(store.exists(f"raw/{name}") for name in LABEL_FILES):
        return "raw/ holds a catalogue, which is used as it is"
    section = read_section("make_sample")
    size = products or int(section["products"])
    with tempfile.TemporaryDirectory() as folder:
        make_sample(Path(folder), size, int(section["seed"]))
        files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        tables = [path for path in files if path.name in {*PRODUCT_FILES, *LABEL_FILES}]
        _upload(store, Path(folder), [path for path in files if path not in tables])
        for path in sorted(tables, key=lambda path: path.name in LABEL_FILES):
            _upload(store, Path(folder), [path])
    return f"uploaded a sample catalogue of {size} products to raw/"


def check_tracking(uri: str) -> None:
    """Raise `OSError` if an MLflow server does not respond; an embedded MLflow needs no check."""
    if uri.startswith(("http://", "https://")):
        urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=HEALTH_TIMEOUT_S).close()  # noqa: S310 - see above


def wait_for(launcher: Launcher, name: str, poll_s: float) -> None:
    """Start the run of this name unless it is active, and return when it has ended.

    After `LauncherUnavailable` the state of the run is unknown, so it is requested again.
    """
    if launcher.find(name) is not Execution.ACTIVE:
        launcher.start(name, "")
    unknown_or_active = retry_if_exception_type(LauncherUnavailable) | retry_if_result(
        lambda found: found is Execution.ACTIVE
    )
    Retrying(retry=unknown_or_active, wait=wait_fixed(poll_s))(launcher.find, name)


def _train(pipeline: PipelineSettings, settings: BootstrapSettings, console: Console) -> None:
    """Run the pipeline on Kubeflow Pipelines if its API responds, else on this machine."""
    package = compile_training(pipeline.state / "training.yaml")
    arguments = cast_arguments(training_arguments(pipeline, pipeline.raw), declared_parameters(package))
    try:
        client = connect(pipeline.pipelines_host, pipeline.pipelines_namespace, pipeline.pipelines_token)
    except LauncherUnavailable as error:
        console.print(f"{error}; running the pipeline on this machine", highlight=False)
        run_pipeline(package, arguments, pipeline.state / "pipeline", console)
        return
    console.print("running the pipeline on Kubeflow Pipelines", highlight=False)
    launcher = KfpLauncher(lambda: client, package, pipeline.experiment, lambda *_: arguments, lambda _: None)
    wait_for(launcher, RUN_NAME, settings.bootstrap_poll_s)


def _wait_until_available(settings: BootstrapSettings, connect_to: Callable[[], T]) -> T:
    """Return the result of `connect_to`, called until it raises neither `StoreUnavailable` nor `OSError`."""
    retrying = Retrying(
        retry=retry_if_exception_type((StoreUnavailable, OSError)),
        stop=stop_after_delay(settings.bootstrap_wait_s),
        wait=wait_fixed(settings.bootstrap_poll_s),
        reraise=True,
    )
    return retrying(connect_to)


def _upload(store: ObjectStore, folder: Path, paths: Sequence[Path]) -> None:
    with ThreadPoolExecutor(UPLOAD_THREADS) as pool:
        list(pool.map(lambda path: store.put(f"raw/{path.relative_to(folder).as_posix()}", path.read_bytes()), paths))
