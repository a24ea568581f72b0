"""The command line of `python -m pipelines`: the options of each command."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic_settings import BaseSettings
from rich.console import Console

from pipelines.compile import PACKAGE
from pipelines.settings import PARAMS
from product_classifier.settings_help import settings_epilog, settings_parser

EVERY_15_MINUTES = "0 */15 * * * *"
HOURLY = "0 5 * * * *"
Command = tuple[Callable[[argparse.Namespace, Console], None], tuple[type[BaseSettings], ...]]
"""What runs a command, and the settings it reads."""


def make_parser(description: str, table: Mapping[str, Command]) -> argparse.ArgumentParser:
    """Return the parser of the commands; each stores its function as `command`."""
    all_settings = dict.fromkeys(one for _, settings in table.values() for one in settings)
    parser = settings_parser("python -m pipelines", description, *all_settings)
    subparsers = parser.add_subparsers(dest="name", required=True, metavar="command")
    commands = {}
    for name, (command, settings) in table.items():
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
    commands["release-action"].add_argument("action", help="id of the action, see GET /releases/actions/{id}")
    commands["batch"].add_argument("batch", help="id of the batch, a dash and the number of the attempt")
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
        "--cron", help=f"six fields, seconds first ({EVERY_15_MINUTES}; monitoring: {HOURLY})"
    )
    _add_monitoring(commands)
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


def _add_monitoring(commands: Mapping[str, argparse.ArgumentParser]) -> None:
    commands["schedule"].add_argument("--monitoring", action="store_true", help="monitoring instead of the trigger")
    commands["monitor"].add_argument("--since", help="start of the window, such as 24h, 7d or a time (SINCE)")
    commands["monitor"].add_argument("--release", help="release that is monitored; default: the newest used (RELEASE)")
    commands["monitor"].add_argument("--every-s", type=float, default=0.0, help="repeat after so many seconds, forever")
    commands["backtest"].add_argument("release", help="id of the release")
    commands["backtest"].add_argument("--since", default="7d", help="start of the window (%(default)s)")
    commands["backtest"].add_argument("--limit", type=_count, default=1000, help="most products (%(default)s)")
    commands["erase"].add_argument("--user", default="", help="name of the user")
    commands["erase"].add_argument("--product", default="", metavar="SHA256", help="hash of its photo, or its key")
    commands["erase"].add_argument("--dry-run", action="store_true", help="only list what would be erased")


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
