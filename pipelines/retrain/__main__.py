"""The retrain trigger: starts a training run when enough corrections have been given.

    python -m pipelines.retrain            reconcile periodically and on request, until stopped
    python -m pipelines.retrain --once     take the steps that are due now, then exit; for a CronJob or recurring run

`POST /reconcile` (from the feedback service) and `POST /events` (bucket notifications) start a reconciliation at once.
"""

import signal
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import uvicorn

from inference.compat.connection_limits import process_limits
from inference.compat.uvicorn import limited_protocol
from pipelines.retrain.app import create_app
from pipelines.retrain.launchers import RUNS_FOLDER, make_command_launcher, make_launcher
from pipelines.retrain.local_launcher import LocalLauncher
from pipelines.retrain.reconcile_loop import ReconcileLoop
from pipelines.retrain.run_logs import RunLogs
from pipelines.retrain.settings import TriggerSettings
from pipelines.retrain.trigger_metrics import TriggerMetrics
from pipelines.settings import PipelineSettings
from product_classifier.batches.batch_records import reconcile_batches
from product_classifier.descriptors import raise_descriptor_limit
from product_classifier.errors import ProductClassifierError
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.metrics.instruments import add_volume, service_registry
from product_classifier.observability import configure_logging, get_logger
from product_classifier.release_history.release_actions import reconcile_actions
from product_classifier.retraining import RunStore
from product_classifier.retraining.launcher import Launcher
from product_classifier.retraining.settings import RetrainSettings
from product_classifier.retraining.trigger import Trigger
from product_classifier.settings_help import settings_parser
from product_classifier.settings_reader import read_settings
from product_classifier.store import ObjectStore, StoreSettings, open_store
from product_classifier.store.probe import StoreProbe, probe_store
from product_classifier.tracing import configure_tracing

INVALID_SETTINGS = 2
PROBE_KEY = "retrain/probe"
PROBE_DEADLINE_S = 2.0
log = get_logger()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the trigger; return the exit status."""
    listed = (RetrainSettings, TriggerSettings, PipelineSettings, StoreSettings)
    parser = settings_parser("python -m pipelines.retrain", __doc__, *listed)
    parser.add_argument("--once", action="store_true", help="take the steps that are due now, then exit")
    once = parser.parse_args(argv).once
    configure_logging("retrain-trigger")
    configure_tracing("retrain-trigger")
    try:
        settings, pipeline = read_settings(TriggerSettings), read_settings(PipelineSettings)
        store = open_store(pipeline.store, create=not pipeline.store_url)
        launcher = make_launcher(settings, pipeline, store)
        actions = make_command_launcher(settings, pipeline, "release-action", "release")
        batches = make_command_launcher(settings, pipeline, "batch", "batch")
        index = FeedbackIndex(store, pipeline.state / "feedback-index" / "trigger.sqlite", store_name=pipeline.store)
        retrain = read_settings(RetrainSettings)
        trigger = Trigger(store, launcher, retrain, index=index)
    except (ValueError, OSError, ProductClassifierError) as error:
        sys.stderr.write(f"retrain: {error}\n")
        return INVALID_SETTINGS
    loop = ReconcileLoop(
        trigger,
        poll_s=settings.poll_s,
        busy_poll_s=settings.busy_poll_s,
        reconcile_requests=partial(_reconcile_requests, store, actions, batches),
    )
    if once:
        loop.reconcile_while_due()
        return 1 if loop.steps["error"] else 0
    try:
        metrics = TriggerMetrics(loop, index, RunStore(store), retrain.min_corrections)
        serve(loop, metrics, settings, store, pipeline.state)
    except KeyboardInterrupt:
        log.info("trigger_stopped")
    finally:
        for one in (launcher, actions, batches):
            if isinstance(one, LocalLauncher):
                one.stop_all()
    return 0


def _reconcile_requests(store: ObjectStore, actions: Launcher, batches: Launcher) -> bool:
    """Carry out what users requested; return whether something is active."""
    now = datetime.now(UTC)
    return any([reconcile_actions(store, actions, now), reconcile_batches(store, batches, now)])


def serve(
    loop: ReconcileLoop, metrics: TriggerMetrics, settings: TriggerSettings, store: ObjectStore, state: Path
) -> None:
    """Run the loop in a thread and the HTTP server in this one, until a signal."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises the signal again after its shutdown
    probe = StoreProbe(partial(probe_store, store, PROBE_KEY), deadline_s=PROBE_DEADLINE_S)
    registry = service_registry()
    registry.register(metrics)
    add_volume(registry, state)
    loop.on_reconciled = metrics.refresh
    logs = RunLogs(state / RUNS_FOLDER) if settings.launcher == "local" else None
    app = create_app(loop, registry, settings.token.get_secret_value(), probe, logs)
    thread = threading.Thread(target=loop.run, name="reconcile")
    thread.start()
    try:
        raise_descriptor_limit()
        uvicorn.run(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            http=limited_protocol(process_limits()),
        )
    finally:
        loop.close()
        thread.join()


if __name__ == "__main__":
    sys.exit(main())
