"""python -m inference.local: prepare what is missing, start every service, serve until Ctrl-C."""

import os
import sys

from inference.local.terminal import in_foreground


def main() -> int:
    """Serve; the exit status is 0 after Ctrl-C."""
    from inference.local.run import run  # noqa: PLC0415 - the fork comes before anything heavy is loaded

    return run()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(in_foreground(main))
