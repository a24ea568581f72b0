"""`python -m operations.cluster`: images, deployment and the kind cluster; `make` calls it."""

import argparse
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from operations.cluster import images, kind
from operations.cluster.commands import Commands
from operations.cluster.deploy import deploy
from operations.cluster.settings import Settings, commit
from product_classifier.errors import ProductClassifierError
from product_classifier.settings_help import settings_parser

DEFAULT_LOAD = Settings.model_fields["load"].default


def main(argv: Sequence[str]) -> int:
    """Do what the word says; 1 and the reason when it cannot be done."""
    options = _parse(argv)
    commands = Commands(lambda line: print(line, flush=True))  # noqa: T201 - for the person who waits
    try:
        _do(options.command, commands, Settings())
    except KeyboardInterrupt:
        return 130
    except (ProductClassifierError, ValidationError) as error:
        sys.stderr.write(f"{options.command}: {error}\n")
        return 1
    return 0


def _do(command: str, commands: Commands, settings: Settings) -> None:
    match command:
        case "images":
            images.build(
                commands,
                builder=settings.build,
                tag=settings.tag,
                commit=commit(),
                torch_index=settings.torch_index,
            )
            if settings.load != DEFAULT_LOAD or kind.exists(commands):
                images.load(commands, loader=settings.load, tag=settings.tag)
        case "up":
            kind.up(commands, existing=settings.is_existing)
        case "deploy":
            deploy(commands, settings)
        case "down":
            kind.down(commands, existing=settings.is_existing)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = settings_parser("python -m operations.cluster", __doc__, Settings)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, about in {
        "up": "make a kind cluster with the pinned platform; refuse early when the machine cannot hold it",
        "images": "build every image, and load it into the cluster where there is one",
        "deploy": "apply an overlay to the current context and wait until everything is ready",
        "down": "remove the kind cluster",
    }.items():
        commands.add_parser(name, help=about, description=about)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
