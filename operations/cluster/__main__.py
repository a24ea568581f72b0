"""Build images, deploy, manage releases and the kind cluster: `python -m operations.cluster`."""

import argparse
import sys
from collections.abc import Sequence

from operations.cluster import images, kind
from operations.cluster.command_runner import CommandFailed, CommandRunner
from operations.cluster.deploy import deploy
from operations.cluster.release_jobs import run_release_command
from operations.cluster.settings import Settings, commit
from product_classifier.errors import ProductClassifierError
from product_classifier.settings_help import settings_parser
from product_classifier.settings_reader import read_settings

DEFAULT_LOAD = Settings.model_fields["load"].default
EXIT_INTERRUPTED = 130
COMMANDS = {
    "up": "create a kind cluster with the pinned platform; fails early if the machine does not meet the requirements",
    "images": "build every image, and load it into the cluster if there is one",
    "deploy": "apply an overlay to the current context and wait until everything is ready",
    "down": "remove the kind cluster",
    "releases": "list the kept releases of the deployment and their states",
    "rollback": "deploy a kept release again, by default the previous one",
    "canary": "route a share of the requests to another release, until `canary --stop` or a promotion",
    "register": "register a published release in MLflow, if MLflow was unavailable when it was published",
}
RELEASE_TIMEOUT_S = 900.0
"""Seconds in which a command about releases must end: a rollout replaces all pods of three services twice."""


def main(argv: Sequence[str]) -> int:
    """Run one command; return 1 with the reason on standard error if it fails."""
    options = _parse(argv)
    runner = CommandRunner(lambda line: print(line, flush=True))  # noqa: T201 - progress
    try:
        _run(options, runner, read_settings(Settings))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except ProductClassifierError as error:
        sys.stderr.write(f"{options.command}: {error}\n")
        return 1
    return 0


def _run(options: argparse.Namespace, runner: CommandRunner, settings: Settings) -> None:
    match options.command:
        case "images":
            images.build(
                runner,
                builder=settings.build,
                tag=settings.tag,
                commit=commit(),
                torch_index=settings.torch_index,
                registry=settings.registry,
                common={
                    "PYTHON_IMAGE": settings.python_image,
                    "PIP_INDEX_URL": settings.package_index,
                    "UV_DEFAULT_INDEX": settings.package_index,
                },
            )
            if settings.load != DEFAULT_LOAD or kind.exists(runner):
                images.load(runner, loader=settings.load, tag=settings.tag, registry=settings.registry)
        case "up":
            kind.up(runner, existing=settings.is_existing)
        case "deploy":
            deploy(runner, settings)
        case "down":
            kind.down(runner, existing=settings.is_existing)
        case "releases":
            runner.report(run_release_command(runner, ["releases"], RELEASE_TIMEOUT_S))
        case "rollback":
            release = [options.release] if options.release else []
            runner.report(run_release_command(runner, ["rollback", *release], RELEASE_TIMEOUT_S))
        case "register":
            runner.report(run_release_command(runner, ["register", options.release], RELEASE_TIMEOUT_S))
        case "canary":
            runner.report(run_release_command(runner, ["canary", *_canary_arguments(options)], RELEASE_TIMEOUT_S))


def _canary_arguments(options: argparse.Namespace) -> list[str]:
    if options.stop:
        return ["--stop"]
    if not options.release:
        raise CommandFailed("neither a release nor --stop is given; name one of them")
    shadow = ["--shadow"] if options.shadow else []
    return [options.release, f"--share={options.percent / 100:g}", *shadow]


def _percent(text: str) -> float:
    percent = float(text)
    if not 0 < percent <= 100:
        raise argparse.ArgumentTypeError(f"{text} is out of range; give a number above 0 and at most 100")
    return percent


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = settings_parser("python -m operations.cluster", __doc__, Settings)
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="command")
    commands = {
        name: subparsers.add_parser(name, help=description, description=description)
        for name, description in COMMANDS.items()
    }
    commands["rollback"].add_argument("release", nargs="?", default="", help="id of the release; default: the previous")
    commands["register"].add_argument("release", help="id of the release")
    canary = commands["canary"]
    canary.add_argument("release", nargs="?", default="", help="id of the release")
    canary.add_argument("percent", nargs="?", type=_percent, default=10.0, help="percent of the requests (%(default)g)")
    canary.add_argument("--shadow", action="store_true", help="only compare its predictions")
    canary.add_argument("--stop", action="store_true", help="end the canary")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
