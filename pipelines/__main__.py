"""Prepare data, compile the training pipeline, run it here or submit it to a cluster, register a release again."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console

from pipelines import data
from pipelines.compile import PACKAGE, compile_look, compile_training, declared
from pipelines.local import report
from pipelines.parameters import PARAMS, ParameterError, fit, read_overrides, training_arguments
from pipelines.settings import Settings
from product_classifier.errors import ProductClassifierError
from product_classifier.retraining.settings import RetrainSettings
from product_classifier.settings_help import settings_parser
from product_classifier.store import StoreSettings

REFUSED = 1
INTERRUPTED = 130
SETTINGS = (Settings, data.DataSettings, RetrainSettings, StoreSettings)
EVERY_QUARTER = "0 */15 * * * *"


def main(argv: Sequence[str]) -> int:
    """Do what the first word says; return the exit status."""
    options = _parser().parse_args(argv)
    console = Console(soft_wrap=True)
    try:
        options.command(options, console)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (ProductClassifierError, ValidationError, OSError) as error:
        sys.stderr.write(f"{options.name}: {error}\n")
        return REFUSED
    return 0


def _data(options: argparse.Namespace, console: Console) -> None:
    """Prepare data/: the challenge's files, or a sample; then the catalogue and its splits."""
    console.print(f"the sides of the catalogue are in {data.prepare(_data_settings(options))}", highlight=False)


def _compile(options: argparse.Namespace, console: Console) -> None:
    """Compile the pipeline into one file."""
    console.print(str(compile_training(options.output)), highlight=False)


def _train(options: argparse.Namespace, console: Console) -> None:
    """Run the compiled pipeline on this machine and put the release into service if it passes the gate."""
    from components.shared import failures  # noqa: PLC0415 - needs what only trainings install
    from pipelines.local import run, warm_up  # noqa: PLC0415 - kfp takes seconds, and --help needs none of it
    from pipelines.local.step_host import AVAILABLE, StepHost  # noqa: PLC0415 - needs what only trainings install

    settings = Settings()
    with StepHost() if AVAILABLE else nullcontext() as host:
        with ThreadPoolExecutor(1) as beside:  # a sample is made by another process
            raw = beside.submit(_raw, options)
            package = compile_training(settings.state / "training.yaml")
        arguments = fit(_arguments(options, settings, raw.result()), declared(package))
        run_id, store = str(arguments.get("run_id", "")), str(arguments["store"])
        with failures.explained(run_id, store), warm_up.tracking(settings.tracking, settings.experiment):
            outcome = run.run(package, arguments, settings.state / "pipeline", console, host)
    report.show(outcome, console)


def _submit(options: argparse.Namespace, console: Console) -> None:
    """Start a run of the compiled pipeline on Kubeflow Pipelines."""
    from pipelines.kubeflow import submit  # noqa: PLC0415 - kfp takes seconds, and --help needs none of it

    settings = Settings()
    host = options.host or settings.pipelines_host
    client = submit.connect(host, settings.pipelines_namespace, settings.pipelines_token)
    arguments = _arguments(options, settings, options.raw) | {"rollout": options.rollout}
    name = options.run_name or f"training-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    run_id = submit.submit(client, compile_training(), arguments, name, settings.experiment)
    console.print(json.dumps({"run_id": run_id, "run_name": name}), highlight=False)
    if options.wait_s:
        submit.wait(client, run_id, options.wait_s)


def _bootstrap(_: argparse.Namespace, console: Console) -> None:
    """Put a first release into service where there is none: sample catalogue, training, promotion."""
    from pipelines import bootstrap  # noqa: PLC0415 - kfp takes seconds, and --help needs none of it

    bootstrap.run(Settings(), bootstrap.BootstrapSettings(), console)


def _register(options: argparse.Namespace, console: Console) -> None:
    """Register a published release in MLflow, which was away when it was published; nothing else moves."""
    from components.register import backfill_registry  # noqa: PLC0415 - needs what only trainings install

    settings = Settings()
    added = backfill_registry.run(options.release, settings.store, settings.tracking, settings.experiment)
    said = f"registered {', '.join(added)}" if added else "MLflow has all its models already"
    console.print(f"release {options.release}: {said}", highlight=False)


def _releases(options: argparse.Namespace, console: Console) -> None:
    """List the releases that are kept, and which of them is in service; with --prune delete what nobody needs."""
    from pipelines import releases  # noqa: PLC0415 - needs what only trainings install

    if options.prune is not None:
        releases.prune(Settings(), options.prune, console)
    else:
        releases.show(Settings(), console)


def _rollback(options: argparse.Namespace, console: Console) -> None:
    """Put a kept release into service again, by default the one before the current."""
    from pipelines import releases  # noqa: PLC0415 - needs what only trainings install

    releases.back(Settings(), options.release, console)


def _canary(options: argparse.Namespace, console: Console) -> None:
    """Let a release answer a share of the traffic on a cluster, or only be asked too, until --stop or a promotion."""
    from pipelines import canary  # noqa: PLC0415 - needs what only trainings install

    if options.stop:
        said = canary.stop(Settings())
    elif options.release:
        said = canary.start(Settings(), options.release, options.share, shadow=options.shadow)
    else:
        raise ParameterError("canary needs a release, or --stop")
    console.print(said, highlight=False)


def _schedule(options: argparse.Namespace, console: Console) -> None:
    """Let Kubeflow Pipelines look for corrections by itself, in place of the retrain trigger's own process."""
    from pipelines.kubeflow import schedule, submit  # noqa: PLC0415 - kfp takes seconds

    settings = Settings()
    arguments = schedule.look_arguments(settings, RetrainSettings())
    host = options.host or settings.pipelines_host
    client = submit.connect(host, settings.pipelines_namespace, settings.pipelines_token)
    found = schedule.schedule(client, compile_look(), arguments, options.cron, settings.experiment)
    console.print(json.dumps({"recurring_run_id": found}), highlight=False)


def _arguments(options: argparse.Namespace, settings: Settings, raw: str) -> dict[str, Any]:
    return training_arguments(settings, raw, options.params) | read_overrides(options.set)


def _count(word: str) -> int:
    count = int(word)
    if count < 0:
        raise argparse.ArgumentTypeError(f"{word} is below 0")
    return count


def _share(word: str) -> float:
    share = float(word)
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{word} is not above 0 and at most 1")
    return share


def _raw(options: argparse.Namespace) -> str:
    """Return where the raw files are, made if need be."""
    return options.raw if _elsewhere(options.raw) else str(data.ensure_raw(_data_settings(options)).absolute())


def _elsewhere(raw: str | None) -> bool:
    return raw is not None and "://" in raw


def _data_settings(options: argparse.Namespace) -> data.DataSettings:
    given = {"raw": options.raw, "products": options.products, "params": options.params}
    return data.DataSettings(**{name: value for name, value in given.items() if value is not None})


def _parser() -> argparse.ArgumentParser:
    parser = settings_parser("python -m pipelines", __doc__, *SETTINGS)
    commands = parser.add_subparsers(dest="name", required=True, metavar="command")
    offered: dict[str, Callable[[argparse.Namespace, Console], None]] = {
        "data": _data,
        "compile": _compile,
        "train": _train,
        "submit": _submit,
        "schedule": _schedule,
        "bootstrap": _bootstrap,
        "register": _register,
        "releases": _releases,
        "rollback": _rollback,
        "canary": _canary,
    }
    words = {
        name: commands.add_parser(
            name,
            help=do.__doc__,
            description=do.__doc__,
            epilog=parser.epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for name, do in offered.items()
    }
    for name, do in offered.items():
        words[name].set_defaults(command=do)
    words["compile"].add_argument("--output", type=Path, default=PACKAGE, help="file to write (%(default)s)")
    for name in ("data", "train"):
        words[name].add_argument("--raw", help="folder with the raw files, train also takes s3://bucket/prefix (RAW)")
        words[name].add_argument("--products", type=int, help="size of the sample, where one is made (PRODUCTS)")
    words["releases"].add_argument(
        "--prune", type=_count, metavar="N", help="delete all but the newest N and those in use or wanted back"
    )
    words["rollback"].add_argument("release", nargs="?", default="", help="its id; by default the one before")
    words["canary"].add_argument("release", nargs="?", default="", help="its id")
    words["canary"].add_argument("--share", type=_share, default=0.1, help="how much it answers (%(default)s)")
    words["canary"].add_argument("--shadow", action="store_true", help="only ask it too, and compare")
    words["canary"].add_argument("--stop", action="store_true", help="end it")
    words["register"].add_argument("release", help="its id, a folder of models/ in the object store")
    words["submit"].add_argument("--raw", required=True, help="s3://bucket/prefix of the raw files")
    words["submit"].add_argument("--rollout", required=True, help="where the cluster puts releases into service")
    for name in ("submit", "schedule"):
        words[name].add_argument("--host", help="Kubeflow Pipelines API as seen from here (KF_PIPELINES_ENDPOINT)")
    words["schedule"].add_argument("--cron", default=EVERY_QUARTER, help="when, seconds first (%(default)s)")
    words["submit"].add_argument("--run-name", help="name of the run; by default made of the time")
    words["submit"].add_argument("--wait-s", type=float, default=0.0, help="wait so many seconds for the run to end")
    for name in ("data", "train", "submit"):
        words[name].add_argument("--params", type=Path, default=PARAMS, help="numbers to work with (%(default)s)")
    for name in ("train", "submit"):
        words[name].add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change one of them")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
