"""python -m operations.local: prepare what is missing, start every service, serve until Ctrl-C."""

import argparse
import os
import sys

from operations.local.terminal import in_foreground


def main() -> int:
    """Serve; the exit status is 0 after Ctrl-C."""
    from operations.local.run import run  # noqa: PLC0415 - the fork comes before anything heavy is loaded

    return run()


if __name__ == "__main__":
    argparse.ArgumentParser(
        prog="python -m operations.local",
        description="Prepare what is missing, start every service, serve until Ctrl-C.",
        epilog="Settings are environment variables: PORT (8080), STATE_DIR (.run), LOG_FORMAT (json for machines).",
    ).parse_args()
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(in_foreground(main))
