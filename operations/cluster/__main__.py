"""Build images, deploy, and manage the kind cluster: `python -m operations.cluster`."""

import argparse
import sys
from collections.abc import Sequence

from operations.cluster import images, kind
from operations.cluster.command_runner import CommandRunner
from operations.cluster.deploy import deploy
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
}


def main(argv: Sequence[str]) -> int:
    """Run one command; return 1 with the reason on standard error if it fails."""
    options = _parse(argv)
    runner = CommandRunner(lambda line: print(line, flush=True))  # noqa: T201 - progress
    try:
        _run(options.command, runner, read_settings(Settings))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except ProductClassifierError as error:
        sys.stderr.write(f"{options.command}: {error}\n")
        return 1
    return 0


def _run(command: str, runner: CommandRunner, settings: Settings) -> None:
    match command:
        case "images":
            images.build(
                runner, builder=settings.build, tag=settings.tag, commit=commit(), torch_index=settings.torch_index
            )
            if settings.load != DEFAULT_LOAD or kind.exists(runner):
                images.load(runner, loader=settings.load, tag=settings.tag)
        case "up":
            kind.up(runner, existing=settings.is_existing)
        case "deploy":
            deploy(runner, settings)
        case "down":
            kind.down(runner, existing=settings.is_existing)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = settings_parser("python -m operations.cluster", __doc__, Settings)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, description in COMMANDS.items():
        commands.add_parser(name, help=description, description=description)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
