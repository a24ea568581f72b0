"""Prepare data, compile and run the training pipeline here or on a cluster, and manage its releases."""

import argparse
import json
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from pipelines.command_parser import EVERY_15_MINUTES, HOURLY, Command, make_parser
from pipelines.compile import compile_training, declared_parameters
from pipelines.inspect_data import inspect_data
from pipelines.parameters import ParameterError, cast_arguments, read_overrides, read_params, training_arguments
from pipelines.prepare_data import describe_data, ensure_raw, prepare_data
from pipelines.settings import (
    BootstrapSettings,
    DataSettings,
    MonitorSettings,
    PipelineSettings,
    ScoreSettings,
    TuneSettings,
)
from product_classifier.errors import ProductClassifierError
from product_classifier.retraining.settings import RetrainSettings
from product_classifier.settings_reader import read_settings
from product_classifier.store import StoreSettings
from product_classifier.store.folders import protect_state_folder

FAILED = 1
INTERRUPTED = 130


def main(argv: Sequence[str]) -> int:
    """Run a command; return the exit status."""
    options = make_parser(__doc__ or "", COMMANDS).parse_args(argv)
    console = Console(soft_wrap=True)
    warnings.filterwarnings("default", category=DeprecationWarning, module=r"pipelines\.")  # hidden by Python otherwise
    try:
        options.command(options, console)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (ProductClassifierError, OSError) as error:
        sys.stderr.write(f"{options.name}: {error}\n")
        return FAILED
    return 0


def _data(options: argparse.Namespace, console: Console) -> None:
    """Write the catalogue and its splits, from the challenge's files or from a sample."""
    settings = _data_settings(options)
    prepare_data(settings)
    console.print(describe_data(settings), highlight=False)


def _inspect(options: argparse.Namespace, console: Console) -> None:
    """Propose catalogue.yaml for the files in RAW, and report what the catalogue has."""
    for line in inspect_data(_data_settings(options)):
        console.print(line, highlight=False, markup=False)


def _compile(options: argparse.Namespace, console: Console) -> None:
    """Compile the training pipeline to a KFP YAML file."""
    console.print(str(compile_training(options.output)), highlight=False)


def _train(options: argparse.Namespace, console: Console) -> None:
    """Run the training pipeline on this machine; its release is deployed if it passes the gate."""
    from components.shared import failures  # noqa: PLC0415 - needs the training dependencies
    from components.shared.encoder_names import packaged_encoders  # noqa: PLC0415 - likewise
    from pipelines.local import report, tracking_database  # noqa: PLC0415 - likewise
    from pipelines.local.runner import run_pipeline  # noqa: PLC0415 - likewise
    from pipelines.local.step_host import AVAILABLE, StepHost  # noqa: PLC0415 - likewise

    packaged_encoders(str(_chosen(options).get("text_encoder") or ""))  # refuses before anything starts
    settings = read_settings(PipelineSettings)
    protect_state_folder(settings.state)
    with StepHost() if AVAILABLE else nullcontext() as host:
        with ThreadPoolExecutor(1) as executor:  # a sample catalogue is made by another process
            raw = executor.submit(_raw, options)
            package = compile_training(settings.state / "training.yaml")
        arguments = cast_arguments(_arguments(options, settings, raw.result()), declared_parameters(package))
        run_id, store = str(arguments.get("run_id", "")), str(arguments["store"])
        with (
            failures.record_run_failure(run_id, store),
            tracking_database.created_in_background(settings.tracking, settings.experiment),
        ):
            result = run_pipeline(package, arguments, settings.state / "pipeline", console, host)
    report.print_result(result, console, store)


def _submit(options: argparse.Namespace, console: Console) -> None:
    """Start a run of the training pipeline on Kubeflow Pipelines."""
    from pipelines.kubeflow.submit import connect, submit_run, wait_for_run  # noqa: PLC0415 - imports kfp, which is slow

    settings = read_settings(PipelineSettings)
    host = options.host or settings.pipelines_host
    client = connect(host, settings.pipelines_namespace, settings.pipelines_token)
    arguments = _arguments(options, settings, options.raw) | {"rollout": options.rollout}
    name = options.run_name or f"training-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    run_id = submit_run(client, compile_training(), arguments, name, settings.experiment)
    console.print(json.dumps({"run_id": run_id, "run_name": name}), highlight=False)
    if options.wait_s:
        wait_for_run(client, run_id, options.wait_s)


def _schedule(options: argparse.Namespace, console: Console) -> None:
    """Schedule the retrain trigger, or monitoring, as a recurring run of Kubeflow Pipelines."""
    from pipelines.kubeflow.schedule import (  # noqa: PLC0415 - imports kfp
        RECONCILE,
        RecurringRun,
        create_schedule,
        reconcile_arguments,
    )
    from pipelines.kubeflow.submit import connect  # noqa: PLC0415 - likewise

    settings = read_settings(PipelineSettings)
    host = options.host or settings.pipelines_host
    client = connect(host, settings.pipelines_namespace, settings.pipelines_token)
    if options.monitoring:
        from pipelines.monitor_command import monitoring_arguments  # noqa: PLC0415 - likewise
        from pipelines.monitoring import MONITORING, compile_monitoring  # noqa: PLC0415 - likewise

        package, schedule = compile_monitoring(), RecurringRun(MONITORING)
        arguments = monitoring_arguments(settings, read_settings(MonitorSettings))
    else:
        from pipelines.retrain.reconcile import compile_reconcile  # noqa: PLC0415 - likewise

        package, schedule = compile_reconcile(), RECONCILE
        arguments = reconcile_arguments(settings, read_settings(RetrainSettings))
    cron = options.cron or (HOURLY if options.monitoring else EVERY_15_MINUTES)
    recurring_run = create_schedule(client, package, arguments, cron, settings.experiment, schedule)
    console.print(json.dumps({"recurring_run_id": recurring_run}), highlight=False)


def _bootstrap(_: argparse.Namespace, console: Console) -> None:
    """Train and deploy the first release of an empty deployment; do nothing if a release is deployed."""
    from pipelines.bootstrap import bootstrap  # noqa: PLC0415 - imports kfp, which is slow

    bootstrap(read_settings(PipelineSettings), read_settings(BootstrapSettings), console)


def _register(options: argparse.Namespace, console: Console) -> None:
    """Register a published release in MLflow, if MLflow was unavailable when it was published; no alias moves."""
    from components.shared.backfill_registry import backfill_registry  # noqa: PLC0415 - needs the training dependencies

    settings = read_settings(PipelineSettings)
    added = backfill_registry(options.release, settings.store, settings.tracking, settings.experiment)
    outcome = f"registered {', '.join(added)}" if added else "all its models are registered already"
    console.print(f"release {options.release}: {outcome}", highlight=False)


def _import(options: argparse.Namespace, console: Console) -> None:
    """Copy a release that was trained elsewhere into the object store, and deploy it without a comparison."""
    from pipelines.release_commands import deploy_imported  # noqa: PLC0415 - needs the training dependencies

    settings = read_settings(PipelineSettings)
    protect_state_folder(settings.state)
    deploy_imported(settings, options.location, console)


def _score(options: argparse.Namespace, console: Console) -> None:
    """Classify the products of a file or folder; a run that was interrupted continues."""
    from pipelines.scoring.score import score  # noqa: PLC0415 - imports pyarrow and the components

    names = ("source", "result", "catalogue", "release", "jobs")
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    settings, pipeline = read_settings(ScoreSettings, **given), read_settings(PipelineSettings)
    if options.submit:
        _submit_scoring(options, settings, pipeline, console)
    else:
        score(settings, pipeline, console)


def _submit_scoring(
    options: argparse.Namespace, settings: ScoreSettings, pipeline: PipelineSettings, console: Console
) -> None:
    from pipelines.kubeflow.submit import connect, submit_run  # noqa: PLC0415 - imports kfp, which is slow
    from pipelines.scoring.scoring_pipeline import SCORING, compile_scoring  # noqa: PLC0415 - likewise

    if not settings.release or not settings.source.startswith("s3://") or not settings.result.startswith("s3://"):
        raise ParameterError("SOURCE, RESULT or RELEASE: pods need s3:// locations and the id of a published release")
    client = connect(options.host or pipeline.pipelines_host, pipeline.pipelines_namespace, pipeline.pipelines_token)
    arguments = {name: getattr(settings, name) for name in ("source", "result", "release")} | {"store": pipeline.store}
    name = f"scoring-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    package = compile_scoring(workers=options.workers)
    run_id = submit_run(client, package, arguments, name, pipeline.experiment, SCORING)
    console.print(json.dumps({"run_id": run_id, "run_name": name}), highlight=False)


def _queue(options: argparse.Namespace, console: Console) -> None:
    """List the predictions to label next in a report of the object store: the least confident ones."""
    from pipelines.queue_report import write_queue  # noqa: PLC0415 - needs pandas

    write_queue(read_settings(PipelineSettings), options.days, options.limit, console)


def _monitor(options: argparse.Namespace, console: Console) -> None:
    """Compact the prediction log, compare a window of predictions with the release's reference, and act on it."""
    from pipelines.monitor_command import monitor_once, monitor_periodically  # noqa: PLC0415 - imports kfp

    if options.every_s:
        monitor_periodically(options.every_s)
    given = {name: value for name in ("since", "release") if (value := getattr(options, name)) is not None}
    settings = read_settings(PipelineSettings)
    protect_state_folder(settings.state)
    monitor_once(settings, read_settings(MonitorSettings, **given), console)


def _backtest(options: argparse.Namespace, console: Console) -> None:
    """Compare a published release with the logged predictions of the release in service, before it is promoted."""
    from pipelines.backtest_command import run_backtest  # noqa: PLC0415 - needs the training dependencies

    run_backtest(read_settings(PipelineSettings), options.release, options.since, options.limit, console)


def _erase(options: argparse.Namespace, console: Console) -> None:
    """Erase one user or one product from records, log and photos; list what else has them."""
    from pipelines.erase_command import erase  # noqa: PLC0415 - needs pyarrow

    erase(read_settings(PipelineSettings), options.user, options.product, console, dry_run=options.dry_run)


def _taxonomy(options: argparse.Namespace, console: Console) -> None:
    """Apply a change file to the taxonomy: add, rename, move, merge, split or retire categories."""
    from pipelines.taxonomy_commands import apply_file  # noqa: PLC0415 - needs pandas

    apply_file(read_settings(PipelineSettings), options.file, console, dry_run=options.dry_run)


def _releases(options: argparse.Namespace, console: Console) -> None:
    """List the kept releases and their states; with --prune, delete those that are not needed."""
    from pipelines.release_commands import list_releases, prune_releases  # noqa: PLC0415 - needs training dependencies

    if options.prune is not None:
        prune_releases(read_settings(PipelineSettings), options.prune, console)
    else:
        list_releases(read_settings(PipelineSettings), console)


def _rollback(options: argparse.Namespace, console: Console) -> None:
    """Deploy a kept release again, by default the previous one."""
    from pipelines.release_commands import roll_back_release  # noqa: PLC0415 - needs the training dependencies

    roll_back_release(read_settings(PipelineSettings), options.release, console)


def _release_action(options: argparse.Namespace, _: Console) -> None:
    """Carry out an action on releases that was requested over HTTP."""
    from pipelines.action_command import run_release_action  # noqa: PLC0415 - needs the training dependencies

    if not run_release_action(read_settings(PipelineSettings), options.action):
        raise ParameterError(f"{options.action}: failed; its result names the reason")


def _batch(options: argparse.Namespace, _: Console) -> None:
    """Classify a file that a user uploaded."""
    from pipelines.batch_command import run_batch  # noqa: PLC0415 - needs the training dependencies

    run_batch(read_settings(PipelineSettings), options.batch)


def _canary(options: argparse.Namespace, console: Console) -> None:
    """Route a share of the requests on a cluster to another release, until --stop or a promotion."""
    from pipelines.release_commands import start_canary, stop_canary  # noqa: PLC0415 - needs training dependencies

    if options.stop:
        message = stop_canary(read_settings(PipelineSettings))
    elif options.release:
        message = start_canary(read_settings(PipelineSettings), options.release, options.share, shadow=options.shadow)
    else:
        raise ParameterError("neither a release nor --stop is given; name one of them")
    console.print(message, highlight=False)


def _tune(options: argparse.Namespace, console: Console) -> None:
    """Search hyper-parameters, cross-validated; write the best as a proposal for params.yaml."""
    from pipelines.tune_command import Request, propose_params  # noqa: PLC0415 - needs the training dependencies

    if options.output.exists():
        raise ParameterError(f"{options.output}: exists and is not replaced; move it or name another with --output")
    settings, trials = read_settings(PipelineSettings), options.trials
    data = options.data
    if data is None:
        data = _data_settings(options).data_dir
        prepare_data(_data_settings(options))
    trials = read_settings(TuneSettings).trials if trials is None else trials
    propose_params(settings, Request(data, options.params, options.output, options.model, trials), console)


STORED = (PipelineSettings, StoreSettings)
COMMANDS: dict[str, Command] = {
    "data": (_data, (DataSettings,)),
    "inspect": (_inspect, (DataSettings,)),
    "compile": (_compile, ()),
    "train": (_train, (DataSettings, *STORED)),
    "tune": (_tune, (DataSettings, TuneSettings, *STORED)),
    "submit": (_submit, (PipelineSettings,)),
    "schedule": (_schedule, (PipelineSettings, RetrainSettings, MonitorSettings)),
    "bootstrap": (_bootstrap, (BootstrapSettings, *STORED)),
    "register": (_register, STORED),
    "import": (_import, STORED),
    "score": (_score, (ScoreSettings, *STORED)),
    "queue": (_queue, STORED),
    "monitor": (_monitor, (MonitorSettings, *STORED)),
    "backtest": (_backtest, STORED),
    "erase": (_erase, STORED),
    "taxonomy": (_taxonomy, STORED),
    "releases": (_releases, STORED),
    "rollback": (_rollback, STORED),
    "canary": (_canary, STORED),
    "batch": (_batch, STORED),
    "release-action": (_release_action, STORED),
}
"""Name of a command to the function that runs it and the settings it reads."""


def _arguments(options: argparse.Namespace, settings: PipelineSettings, raw: str) -> dict[str, Any]:
    layout = _data_settings(options).catalogue
    return training_arguments(settings, raw, options.params, layout) | read_overrides(options.set)


def _chosen(options: argparse.Namespace) -> dict[str, Any]:
    """Return the values of params.yaml and of the command line."""
    return read_params(options.params) | read_overrides(options.set)


def _raw(options: argparse.Namespace) -> str:
    """Return the location of the raw files; make a sample catalogue if there are none."""
    if options.raw is not None and "://" in options.raw:
        return str(options.raw)
    settings = _data_settings(options)
    if settings.raw is not None:
        prepare_data(settings)  # the simulation reads the splits in the data folder
    return str(ensure_raw(settings).absolute())


def _data_settings(options: argparse.Namespace) -> DataSettings:
    names = ("raw", "catalogue", "write", "products", "params")
    given = {name: getattr(options, name, None) for name in names}
    return read_settings(DataSettings, **{name: value for name, value in given.items() if value is not None})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
