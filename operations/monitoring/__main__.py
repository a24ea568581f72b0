"""Write the generated files of manifests/components/monitoring: `python -m operations.monitoring`."""

import argparse
import sys
from collections.abc import Sequence

from operations.monitoring.files import FOLDER, generated


def main(argv: Sequence[str] | None = None) -> int:
    """Write the dashboards and the PrometheusRule."""
    argparse.ArgumentParser(prog="python -m operations.monitoring", description=__doc__).parse_args(argv)
    for name, content in generated().items():
        (FOLDER / name).write_text(content, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
