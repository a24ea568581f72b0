"""Push data and models to a repository on DagsHub: `python -m operations.dagshub`.

1. Check the token. 2. Add the DVC remote `dagshub` to `.dvc/config.local` and push the outputs of `dvc.yaml`. 3. Write
the variables of MLflow to `dagshub.env` in the state folder, readable by its owner. 4. Register the deployed release.
What the registry of the repository refuses costs the registration only.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from operations.cluster.command_runner import CommandFailed, CommandRunner
from operations.dagshub.repository import check_access
from operations.dagshub.settings import Settings
from product_classifier.errors import ProductClassifierError
from product_classifier.settings_help import settings_parser
from product_classifier.settings_reader import read_settings

REMOTE = "dagshub"
VARIABLES = "dagshub.env"
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str]) -> int:
    """Push; return 1 with the reason on standard error if the data cannot be pushed."""
    settings_parser("python -m operations.dagshub", __doc__, Settings).parse_args(argv)
    try:
        settings = read_settings(Settings)
        # Not on command lines, which every user of the machine can read.
        os.environ.update(settings.variables)
        push(CommandRunner(lambda line: print(line, flush=True)), settings)  # noqa: T201 - progress
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except ProductClassifierError as error:
        sys.stderr.write(f"dagshub: {error}\n")
        return 1
    return 0


def push(runner: CommandRunner, settings: Settings) -> None:
    """Push data and the deployed release to the repository."""
    check_access(settings)
    dvc = [sys.executable, "-m", "dvc"]
    runner.run([*dvc, "remote", "add", "--local", "--force", REMOTE, "s3://dvc"])
    runner.run([*dvc, "remote", "modify", "--local", REMOTE, "endpointurl", f"{settings.location}.s3"])
    runner.run_step("data pushed", [*dvc, "push", "--remote", REMOTE])
    path = _write_variables(settings)
    release = _deployed(settings.state_dir)
    if not release:
        runner.report("no release is deployed here, so none is registered; train one with the variables below")
    else:
        _register(runner, release)
    runner.report(f"set -a; . {path}; set +a   # then make train records its runs in {settings.location}")


def _register(runner: CommandRunner, release: str) -> None:
    try:
        runner.run_step(f"release {release} registered", [sys.executable, "-m", "pipelines", "register", release])
    except CommandFailed as error:
        runner.report(f"release {release} is not registered, everything else is done: {error}")


def _deployed(state: Path) -> str:
    pointer = state / "releases" / "champion"
    return pointer.read_text(encoding="utf-8").strip() if pointer.exists() else ""


def _write_variables(settings: Settings) -> Path:
    settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = settings.state_dir / VARIABLES
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(f"{name}={value}\n" for name, value in settings.variables.items())
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
