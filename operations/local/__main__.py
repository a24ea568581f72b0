"""Run every service on this machine: `python -m operations.local`."""

import os
import sys

from operations.local.settings import Settings
from operations.local.terminal import run_in_foreground
from product_classifier.settings_help import settings_parser


def main() -> int:
    """Run the services; return 0 after Ctrl-C."""
    from operations.local.run import run  # noqa: PLC0415 - fork before heavy imports

    return run()


if __name__ == "__main__":
    settings_parser(
        "python -m operations.local", "Prepare what is missing, start every service, serve until Ctrl-C.", Settings
    ).parse_args()
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(run_in_foreground(main))
