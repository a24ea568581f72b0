"""Run the product on this host by docker compose: `python -m operations.compose`.

Writes the secrets of the first start, builds the images or pulls them from REGISTRY, starts the services and waits
until they are healthy and a release is deployed. Started again, it changes only what differs.
"""

import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from operations.cluster import images
from operations.cluster.command_runner import CommandFailed, CommandRunner
from operations.cluster.settings import commit
from operations.compose.settings import Settings
from operations.compose.state_folder import ACCOUNTS, SECRETS, prepare
from operations.local.readiness import wait_until_ready
from product_classifier.errors import ProductClassifierError
from product_classifier.settings_help import settings_parser
from product_classifier.settings_reader import read_settings

COMPOSE_FILE = Path("docker/compose.yaml")
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str]) -> int:
    """Start the services; return 1 with the reason on standard error if one does not start."""
    settings_parser("python -m operations.compose", __doc__, Settings).parse_args(argv)
    runner = CommandRunner(lambda line: print(line, flush=True))  # noqa: T201 - progress
    try:
        start(runner, read_settings(Settings))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except ProductClassifierError as error:
        sys.stderr.write(f"compose: {error}\n")
        return 1
    return 0


def start(runner: CommandRunner, settings: Settings) -> None:
    """Prepare the state folder and the images, and start every service of the profiles."""
    compose = shlex.split(settings.compose)
    runner.run([*compose, "version"])
    environment = prepare(
        settings.state,
        {
            "ADDRESS": settings.address,
            "PORT": str(settings.port),
            "ROOT_PATH": settings.root_path,
            "REGISTRY": settings.registry,
            "TAG": settings.tag,
            "COMPOSE_PROFILES": settings.profiles,
        },
    )
    if not settings.registry:
        images.build(
            runner, builder=settings.build, tag=settings.tag, commit=commit(), torch_index=settings.torch_index
        )
    command = [*compose, "--file", str(COMPOSE_FILE), "--env-file", str(environment)]
    runner.run_step("services are started", [*command, "up", "--detach", "--remove-orphans"])
    runner.report(f"{shlex.join(command)} logs --follow bootstrap   # shows the first training")
    end_s = time.monotonic() + settings.timeout_s
    if not wait_until_ready(settings.port, lambda: time.monotonic() > end_s):
        raise CommandFailed(f"no release is served after {settings.timeout_s:.0f} s; read the logs of bootstrap")
    runner.report(f"http://{settings.address}:{settings.port}, accounts in {settings.state / SECRETS / ACCOUNTS}")
    runner.report(f"{shlex.join(command)} down   # stops it; {settings.state} keeps the data")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
