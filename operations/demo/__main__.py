"""The whole loop once, on a sample of its own: train, serve, replay, correct, retrain, judge, promote, replay again.

Half of the unseen products are corrected by simulated users; the other half, which nobody corrects, is what F1 before
and after is measured on. Everything is in DEMO_DIR (build/demo), which is kept until the next demonstration; the state
folder and the data of `make run` are not touched. PRODUCTS sets the size of the sample.
"""

import os
import platform
import sys
from datetime import UTC, datetime

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from operations.demo import results
from operations.demo.loop import Loop
from operations.demo.results import Found, Row
from operations.demo.settings import Settings
from product_classifier.errors import ProductClassifierError
from product_classifier.settings_help import settings_parser

INTERRUPTED = 130


def main() -> int:
    """Run the loop; 0 when every step happened."""
    console = Console(soft_wrap=True)
    loop = None
    try:
        settings = Settings()
        loop = Loop(settings, console)
        found = loop.run()
    except ValidationError as error:
        for wrong in error.errors():
            sys.stderr.write(f"error: {str(wrong['loc'][0]).upper()}={str(wrong['input'])[:40]!r}: {wrong['msg']}\n")
        return 1
    except (ProductClassifierError, OSError) as error:
        sys.stderr.write(f"error: {f'step {loop.step!r} did not happen: ' if loop else ''}{error}\n")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    _show(console, ("on products nobody corrected", "before", "after"), results.quality(found))
    _show(console, ("the loop", ""), results.loop(found))
    table = settings.demo_dir / "table.md"
    table.write_text(_markdown(found), encoding="utf-8")
    console.print(f"kept until the next demonstration: {settings.demo_dir} (the tables: {table})", highlight=False)
    return 0


def _show(console: Console, header: Row, rows: list[Row]) -> None:
    table = Table()
    for name in header:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console.print(table, markup=False, highlight=False)


def _markdown(found: Found) -> str:
    machine = f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.machine()}"
    quality = results.to_markdown(("on products nobody corrected", "before", "after"), results.quality(found))
    return f"{machine}\n\n{quality}\n{results.to_markdown(('the loop', ''), results.loop(found))}"


if __name__ == "__main__":
    settings_parser("python -m operations.demo", __doc__, Settings).parse_args()
    sys.exit(main())
