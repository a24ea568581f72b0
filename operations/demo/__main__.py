"""Run the whole loop once: train, serve, replay, correct, retrain, evaluate, promote, replay again.

Half of the unseen products are corrected by simulated users; F1 before and after is measured on the other half, which
has no corrections. DEMO_DIR (build/demo) contains everything and is kept until the next demo; the state folder and the
data of `make run` are not changed. PRODUCTS sets the size of the sample. With RAW, a folder with another catalogue, the
run is requested after the corrections, and its release need not be promoted.
"""

import os
import platform
import sys
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from operations.demo import results
from operations.demo.loop import DemoLoop
from operations.demo.results import DemoResult, Row
from operations.demo.settings import Settings
from product_classifier.errors import ProductClassifierError
from product_classifier.settings_help import settings_parser
from product_classifier.settings_reader import read_settings

EXIT_INTERRUPTED = 130
QUALITY_HEADER = ("on products without corrections", "before", "after")
LOOP_HEADER = ("the loop", "")


def main() -> int:
    """Run the loop; return 0 when every step succeeded."""
    console = Console(soft_wrap=True)
    loop = None
    try:
        settings = read_settings(Settings)
        loop = DemoLoop(settings, console)
        result = loop.run()
    except (ProductClassifierError, OSError) as error:
        sys.stderr.write(f"error: {f'step {loop.step!r} failed: ' if loop else ''}{error}\n")
        return 1
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    _print(console, QUALITY_HEADER, results.quality_rows(result))
    _print(console, LOOP_HEADER, results.loop_rows(result))
    table = settings.demo_dir / "table.md"
    table.write_text(_markdown(result), encoding="utf-8")
    console.print(f"kept until the next demo: {settings.demo_dir} (tables: {table})", highlight=False)
    return 0


def _print(console: Console, header: Row, rows: list[Row]) -> None:
    table = Table()
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table, markup=False, highlight=False)


def _markdown(result: DemoResult) -> str:
    machine = f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.machine()}"
    quality = results.to_markdown(QUALITY_HEADER, results.quality_rows(result))
    return f"{machine}\n\n{quality}\n{results.to_markdown(LOOP_HEADER, results.loop_rows(result))}"


if __name__ == "__main__":
    settings_parser("python -m operations.demo", __doc__, Settings).parse_args()
    sys.exit(main())
