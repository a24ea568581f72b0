"""Replay unseen products against a gateway or through the models of a release, and write a report.

Every option is also a variable of its name in capitals: `make simulate URL=http://… RATE=20 CORRECT=0.5`.
"""

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from inference.simulation import report
from inference.simulation.report import Simulation
from inference.simulation.run import simulate
from inference.simulation.settings import Settings
from product_classifier.errors import ProductClassifierError
from product_classifier.settings_help import settings_parser
from product_classifier.settings_reader import read_settings
from product_classifier.store import StoreSettings

INTERRUPTED = 130


def main(argv: Sequence[str]) -> int:
    """Run a simulation; return 0 if it ran to its end and some requests were answered."""
    options = {name: value for name, value in vars(_parser().parse_args(argv)).items() if value is not None}
    console = Console(soft_wrap=True)
    try:
        settings = read_settings(Settings, **options)
        done = simulate(settings, console)
        page = report.write(done, settings.reports_dir, settings.store_url)
    except (ProductClassifierError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    _print(done, console)
    console.print(f"report: {page}", highlight=False)
    if done.abort_reason:
        sys.stderr.write(f"error: {done.abort_reason}\n")
    return int(bool(done.abort_reason) or not any(one.prediction for one in done.outcomes))


def _print(done: Simulation, console: Console) -> None:
    found = report.to_json(done)
    table = Table(show_header=False, box=None)
    for section in ("requests", "latency_ms", "scores", "corrections"):
        for name, value in found[section].items():
            text = ", ".join(f"{key}: {one}" for key, one in value.items()) if isinstance(value, dict) else str(value)
            table.add_row(section.replace("_", " "), name.replace("_", " "), text or "–")
    table.add_row("speed", "products per s", str(found["products_per_s"]))
    console.print(table, highlight=False, markup=False)


def _parser() -> argparse.ArgumentParser:
    parser = settings_parser("python -m inference.simulation", __doc__, Settings, StoreSettings)
    for name, field in Settings.model_fields.items():
        text = f"{field.description} ({field.default if field.default not in {'', None} else 'none'})"
        parser.add_argument(f"--{name.replace('_', '-')}", help=text.replace("%", "%%"))
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
