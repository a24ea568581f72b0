"""The retrain trigger: looks again and again, or when woken, and takes the next step.

    python -m pipelines.retrain            until stopped
    python -m pipelines.retrain --once     what is due now, for a CronJob or a recurring run (look.py)

`POST /wake` (from the feedback service) and `POST /events` (bucket notifications) make it look at once.
"""

import hmac
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from time import monotonic
from typing import Annotated, Literal

import uvicorn
from fastapi import FastAPI, Header, HTTPException, Request, Response
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipelines.parameters import training_arguments
from pipelines.retrain.launchers import LocalLauncher
from pipelines.settings import Settings as PipelineSettings
from product_classifier.errors import InvalidInput, ProductClassifierError
from product_classifier.observability import configure_logging, get_logger
from product_classifier.retraining import RunStore
from product_classifier.retraining.events import has_feedback_event
from product_classifier.retraining.launcher import Launcher
from product_classifier.retraining.settings import RetrainSettings
from product_classifier.retraining.trigger import ReconcileResult, Trigger
from product_classifier.settings_help import settings_parser
from product_classifier.store import ObjectStore, StoreSettings, open_store

EVENT_BYTES = 1 << 20
STALE_S = 120.0
GOING_ON = frozenset({"claimed", "closed"})
"""Steps after which there is something to do at once."""
log = get_logger()


class Settings(BaseSettings):
    """How the process runs; each field is RETRAIN_<NAME> in the environment."""

    model_config = SettingsConfigDict(env_prefix="RETRAIN_", frozen=True, use_attribute_docstrings=True, extra="ignore")

    launcher: Literal["local", "kfp", "job"] = "local"
    """Where runs are started: on this machine, on Kubeflow Pipelines, or as Jobs of a namespace."""

    namespace: str = "product-classifier"
    """Namespace of the Jobs."""

    host: str = "127.0.0.1"
    """Address to be woken at."""

    port: int = Field(default=8083, ge=0, le=65535)
    """Port to be woken at."""

    token: SecretStr = SecretStr("")
    """What a caller must know to wake the trigger; without it nobody can, and the trigger looks by itself."""

    poll_s: float = Field(default=15.0, gt=0)
    """Seconds between two looks."""

    busy_poll_s: float = Field(default=1.0, gt=0)
    """Seconds between two looks while a run is being started or is active."""

    package: Path = Path("build/training.yaml")
    """The compiled pipeline; made when it is missing."""


class Loop:
    """Lets a trigger look, for ever; no error ends it."""

    def __init__(self, trigger: Trigger, *, poll_s: float, busy_poll_s: float) -> None:
        self._trigger = trigger
        self._poll_s = poll_s
        self._busy_poll_s = busy_poll_s
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._last: ReconcileResult | None = None
        self.looked = monotonic()
        self.steps: Counter[str] = Counter()

    def run(self) -> None:
        """Look until closed."""
        while not self._stopped.is_set():
            self._wake.clear()
            self._wake.wait(self.look())

    def look(self) -> float:
        """Take the next step; return how long nothing will be to do unless somebody wakes us."""
        try:
            decision = self._trigger.reconcile()
        except (ProductClassifierError, OSError) as error:
            self.steps["error"] += 1
            log.warning("reconcile_failed", reason=str(error))
            return self._poll_s
        except Exception:
            self.steps["error"] += 1
            log.exception("reconcile_failed")  # our own mistake must not end the loop
            return self._poll_s
        finally:
            self.looked = monotonic()
        self.steps[decision.step] += 1
        if decision != self._last:
            log.info("reconciled", **decision.model_dump(exclude_none=True))
            self._last = decision
        if decision.step in GOING_ON:
            return 0.0
        return self._poll_s if decision.step in {"waiting", "cooling", "launcher_away"} else self._busy_poll_s

    def look_while_due(self) -> None:
        """Take the steps that are due now: a run that is claimed is also started."""
        while self.look() == 0.0:
            pass

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    def close(self) -> None:
        """Stop after the look in progress."""
        self._stopped.set()
        self._wake.set()


def create_app(loop: Loop, trigger: Trigger, token: str) -> FastAPI:
    """Return the doors through which the trigger is woken and watched."""
    app = FastAPI(title="Retrain trigger", openapi_url=None)

    @app.post("/wake", status_code=202)
    async def wake(x_internal_token: Annotated[str, Header()] = "") -> None:
        _check(x_internal_token, token)
        loop.wake()

    @app.post("/events", status_code=202)
    async def events(request: Request, authorization: Annotated[str, Header()] = "") -> None:
        _check(authorization.removeprefix("Bearer "), token)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > EVENT_BYTES:
                raise HTTPException(413, f"a notification has at most {EVENT_BYTES} bytes")
        try:
            if has_feedback_event(body):
                loop.wake()
        except InvalidInput as error:
            raise HTTPException(400, str(error)) from error

    @app.get("/healthz")
    async def healthz() -> dict[str, float]:
        quiet_s = monotonic() - loop.looked
        if quiet_s > STALE_S:
            raise HTTPException(503, f"the last look was {quiet_s:.0f} s ago")
        return {"last_look_s": round(quiet_s, 1)}

    @app.get("/metrics")
    async def metrics() -> Response:
        lines = [f'retrain_steps_total{{step="{step}"}} {count}' for step, count in sorted(loop.steps.items())]
        lines.append(f"retrain_corrections_damaged {len(trigger.feedback_index.damaged)}")
        return Response("\n".join([*lines, ""]), media_type="text/plain; version=0.0.4")

    return app


def _check(given: str, token: str) -> None:
    if not token or not hmac.compare_digest(given.encode(), token.encode()):
        raise HTTPException(401, "this needs the internal token")


def make_launcher(settings: Settings, pipeline: PipelineSettings, store: ObjectStore) -> Launcher:
    """Return the launcher this deployment uses."""
    if settings.launcher == "local":
        return LocalLauncher(pipeline.state / "runs")
    if settings.launcher == "job":
        from components.shared.kubernetes_api import ClusterApi  # noqa: PLC0415 - only a cluster needs its client
        from pipelines.kubeflow.job_launcher import JobLauncher  # noqa: PLC0415 - likewise

        return JobLauncher(ClusterApi(settings.namespace))
    from pipelines.compile import compile_training  # noqa: PLC0415 - imports kfp, which takes seconds
    from pipelines.kubeflow.kfp_launcher import KfpLauncher  # noqa: PLC0415 - likewise
    from pipelines.kubeflow.submit import connect  # noqa: PLC0415 - likewise

    if not settings.package.exists():
        compile_training(settings.package)
    run_store, common = RunStore(store), training_arguments(pipeline, pipeline.raw)

    def owner(run_id: str) -> str | None:
        found = run_store.owner(run_id)
        return found.execution if found else None

    return KfpLauncher(
        lambda: connect(pipeline.pipelines_host, pipeline.pipelines_namespace, pipeline.pipelines_token),
        settings.package,
        pipeline.experiment,
        lambda run_id, snapshot: common | {"run_id": run_id, "snapshot": snapshot},
        owner,
    )


def serve(loop: Loop, app: FastAPI, settings: Settings) -> None:
    """Look in a thread of its own and answer, until stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises it again when it has stopped
    thread = threading.Thread(target=loop.run, name="reconcile")
    thread.start()
    try:
        uvicorn.run(app, host=settings.host, port=settings.port, log_config=None, access_log=False)
    finally:
        loop.close()
        thread.join()


def main(argv: list[str] | None = None) -> int:
    """Run the trigger."""
    listed = (RetrainSettings, Settings, PipelineSettings, StoreSettings)
    parser = settings_parser("python -m pipelines.retrain", __doc__, *listed)
    parser.add_argument("--once", action="store_true", help="do what is due now, then end")
    once = parser.parse_args(argv).once
    configure_logging("retrain-trigger")
    try:
        settings, pipeline = Settings(), PipelineSettings()
        store = open_store(pipeline.store, create=not pipeline.store_url)
        launcher = make_launcher(settings, pipeline, store)
        trigger = Trigger(store, launcher, RetrainSettings())
    except (ValidationError, ProductClassifierError) as error:
        sys.stderr.write(f"retrain: {error}\n")
        return 2
    loop = Loop(trigger, poll_s=settings.poll_s, busy_poll_s=settings.busy_poll_s)
    if once:
        loop.look_while_due()
        return 1 if loop.steps["error"] else 0
    try:
        serve(loop, create_app(loop, trigger, settings.token.get_secret_value()), settings)
    except KeyboardInterrupt:
        log.info("stopped")
    finally:
        if isinstance(launcher, LocalLauncher):
            launcher.stop_all()
    return 0
