"""Prepare data, compile and run the training pipeline here or on a cluster, and manage its releases."""

import argparse
import json
import sys
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic_settings import BaseSettings
from rich.console import Console

from pipelines.compile import PACKAGE, compile_training, declared_parameters
from pipelines.inspect_data import inspect_data
from pipelines.parameters import ParameterError, cast_arguments, read_overrides, read_params, training_arguments
from pipelines.prepare_data import describe_data, ensure_raw, prepare_data
from pipelines.settings import PARAMS, BootstrapSettings, DataSettings, PipelineSettings, ScoreSettings, TuneSettings
from product_classifier.errors import ProductClassifierError
from product_classifier.retraining.settings import RetrainSettings
from product_classifier.settings_help import settings_epilog, settings_parser
from product_classifier.settings_reader import read_settings
from product_classifier.store import StoreSettings
from product_classifier.store.folders import protect_state_folder

FAILED = 1
INTERRUPTED = 130
EVERY_15_MINUTES = "0 */15 * * * *"


def main(argv: Sequence[str]) -> int:
    """Run a command; return the exit status."""
    options = _parser().parse_args(argv)
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
    """Schedule the retrain trigger as a recurring run of Kubeflow Pipelines, instead of as a process."""
    from pipelines.kubeflow.schedule import create_schedule, reconcile_arguments  # noqa: PLC0415 - imports kfp
    from pipelines.kubeflow.submit import connect  # noqa: PLC0415 - likewise
    from pipelines.retrain.reconcile import compile_reconcile  # noqa: PLC0415 - likewise

    settings = read_settings(PipelineSettings)
    arguments = reconcile_arguments(settings, read_settings(RetrainSettings))
    host = options.host or settings.pipelines_host
    client = connect(host, settings.pipelines_namespace, settings.pipelines_token)
    recurring_run = create_schedule(client, compile_reconcile(), arguments, options.cron, settings.experiment)
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
    from components.shared.tracking import RunRecord, Tracking  # noqa: PLC0415 - needs the training dependencies
    from pipelines.tune import STEPS, log_search, proposal, run_name, search  # noqa: PLC0415 - likewise

    settings, given = read_settings(PipelineSettings), read_settings(TuneSettings)
    if options.output.exists():
        raise ParameterError(f"{options.output}: exists and is not replaced; move it or name another with --output")
    data = options.data
    if data is None:
        data = _data_settings(options).data_dir
        prepare_data(_data_settings(options))
    protect_state_folder(settings.state)
    tracking = Tracking(settings.tracking, settings.experiment)
    started = datetime.now(UTC)
    parent = tracking.log_run(RunRecord(run_name(), tags={"kind": "search"}, started=started))
    searches = []
    for model in options.model or STEPS:
        trials = given.trials if options.trials is None else options.trials
        searches.append(search(model, data, options.params, trials, log_search(tracking, parent)))
        for line in searches[-1].lines():
            console.print(line, highlight=False, markup=False)
    text = options.params.read_text(encoding="utf-8") if options.params.exists() else ""
    options.output.write_text(proposal(text, searches), encoding="utf-8")
    best = {f"{one.model}.weighted_f1": one.best.mean for one in searches}
    files = {"params.proposed.yaml": options.output}
    tracking.extend_run(parent, RunRecord("", metrics=best, files=files, ended=datetime.now(UTC)))
    console.print(f"proposal for {options.params}: {options.output}", highlight=False)


STORED = (PipelineSettings, StoreSettings)
COMMANDS: dict[str, tuple[Callable[[argparse.Namespace, Console], None], tuple[type[BaseSettings], ...]]] = {
    "data": (_data, (DataSettings,)),
    "inspect": (_inspect, (DataSettings,)),
    "compile": (_compile, ()),
    "train": (_train, (DataSettings, *STORED)),
    "tune": (_tune, (DataSettings, TuneSettings, *STORED)),
    "submit": (_submit, (PipelineSettings,)),
    "schedule": (_schedule, (PipelineSettings, RetrainSettings)),
    "bootstrap": (_bootstrap, (BootstrapSettings, *STORED)),
    "register": (_register, STORED),
    "import": (_import, STORED),
    "score": (_score, (ScoreSettings, *STORED)),
    "queue": (_queue, STORED),
    "taxonomy": (_taxonomy, STORED),
    "releases": (_releases, STORED),
    "rollback": (_rollback, STORED),
    "canary": (_canary, STORED),
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


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative; give 0 or more")
    return count


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is out of range; give a number above 0 and at most 1")
    return share


def _parser() -> argparse.ArgumentParser:
    all_settings = dict.fromkeys(one for _, settings in COMMANDS.values() for one in settings)
    parser = settings_parser("python -m pipelines", __doc__, *all_settings)
    subparsers = parser.add_subparsers(dest="name", required=True, metavar="command")
    commands = {}
    for name, (command, settings) in COMMANDS.items():
        commands[name] = subparsers.add_parser(
            name,
            help=command.__doc__,
            description=command.__doc__,
            epilog=settings_epilog(*settings),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        commands[name].set_defaults(command=command)
    commands["compile"].add_argument("--output", type=Path, default=PACKAGE, help="file to write (%(default)s)")
    for name in ("data", "inspect", "train"):
        commands[name].add_argument("--raw", help="folder with raw files; for train also s3://bucket/prefix (RAW)")
    for name in ("data", "inspect", "train", "submit"):
        commands[name].add_argument("--catalogue", type=Path, help="layout of the files in RAW (CATALOGUE)")
    commands["inspect"].add_argument("--write", action="store_true", default=None, help="write catalogue.yaml (WRITE)")
    for name in ("data", "train"):
        commands[name].add_argument("--products", type=int, help="products of a sample catalogue (PRODUCTS)")
    commands["import"].add_argument("location", help="folder of the release, file:///folder, or s3://bucket/prefix")
    commands["score"].add_argument("--source", help="file or folder of products, or s3://bucket/key (SOURCE)")
    commands["score"].add_argument("--result", help="file .parquet or .csv, folder, or s3://bucket/key (RESULT)")
    commands["score"].add_argument("--catalogue", type=Path, help="layout of SOURCE (CATALOGUE)")
    commands["score"].add_argument(
        "--release", help="id, folder or s3://bucket/prefix; default: the deployed (RELEASE)"
    )
    commands["score"].add_argument("--jobs", type=_count, help="worker processes; default: one per processor (JOBS)")
    commands["score"].add_argument("--submit", action="store_true", help="run on Kubeflow Pipelines instead of here")
    commands["score"].add_argument("--workers", type=_count, default=4, help="pods of a submitted run (%(default)s)")
    commands["queue"].add_argument(
        "--days", type=_count, default=30, help="days whose predictions are read (%(default)s)"
    )
    commands["queue"].add_argument("--limit", type=_count, default=200, help="predictions to list (%(default)s)")
    actions = commands["taxonomy"].add_subparsers(dest="action", required=True, metavar="action")
    apply = actions.add_parser("apply", help="check a change file and apply it")
    apply.add_argument("file", type=Path, help="changes from the newest version to the next, as JSON")
    apply.add_argument("--dry-run", action="store_true", help="only print what it would do")
    commands["releases"].add_argument(
        "--prune", type=_count, metavar="N", help="delete all releases but the newest N and those that are needed"
    )
    commands["rollback"].add_argument("release", nargs="?", default="", help="id of the release; default: the previous")
    commands["canary"].add_argument("release", nargs="?", default="", help="id of the release")
    commands["canary"].add_argument("--share", type=_share, default=0.1, help="share of the requests (%(default)s)")
    commands["canary"].add_argument("--shadow", action="store_true", help="only compare its predictions")
    commands["canary"].add_argument("--stop", action="store_true", help="end the canary")
    commands["register"].add_argument("release", help="id of the release, a folder of models/ in the object store")
    commands["submit"].add_argument("--raw", required=True, help="s3://bucket/prefix of the raw files")
    commands["submit"].add_argument("--rollout", required=True, help="where to deploy the release: kserve://namespace")
    for name in ("submit", "schedule", "score"):
        commands[name].add_argument("--host", help="URL of the Kubeflow Pipelines API (KF_PIPELINES_ENDPOINT)")
    commands["schedule"].add_argument(
        "--cron", default=EVERY_15_MINUTES, help="six fields, seconds first (%(default)s)"
    )
    commands["submit"].add_argument("--run-name", help="name of the run; default: training-<time>")
    commands["submit"].add_argument("--wait-s", type=float, default=0.0, help="seconds to wait for the end of the run")
    commands["tune"].add_argument("--trials", type=_count, help="trials of each model (TRIALS)")
    commands["tune"].add_argument(
        "--model", action="append", choices=("text", "image"), help="model to search for; repeatable; default: both"
    )
    commands["tune"].add_argument("--data", type=Path, help="folder that `data` wrote; by default it is made")
    commands["tune"].add_argument(
        "--output", type=Path, default=Path("params.proposed.yaml"), help="proposal to write (%(default)s)"
    )
    for name in ("data", "train", "submit", "tune"):
        commands[name].add_argument("--params", type=Path, default=PARAMS, help="parameters file (%(default)s)")
    for name in ("train", "submit"):
        commands[name].add_argument(
            "--set", action="append", default=[], metavar="NAME=VALUE", help="override a pipeline parameter; repeatable"
        )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
