"""python -m operations.local: prepare what is missing, start every service, serve until Ctrl-C."""

import os
import sys

from operations.local.settings import Settings
from operations.local.terminal import in_foreground
from product_classifier.settings_help import settings_parser


def main() -> int:
    """Serve; the exit status is 0 after Ctrl-C."""
    from operations.local.run import run  # noqa: PLC0415 - the fork comes before anything heavy is loaded

    return run()


if __name__ == "__main__":
    settings_parser(
        "python -m operations.local", "Prepare what is missing, start every service, serve until Ctrl-C.", Settings
    ).parse_args()
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(in_foreground(main))
