"""`python -m pipelines backtest`: a challenger on logged traffic, before it is promoted."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from components.shared.published_releases import fetch_release
from pipelines.settings import PipelineSettings
from product_classifier.errors import InvalidInput, ObjectNotFound
from product_classifier.feedback.prediction_log.compaction import Compactor
from product_classifier.feedback.records import PredictionRecord, image_key
from product_classifier.monitoring.backtest import Backtest, LoggedProduct, backtest, write_backtest
from product_classifier.monitoring.logged_window import newest_release, read_window, sample_records
from product_classifier.monitoring.window_start import window_start
from product_classifier.releases.product_models import ProductModels
from product_classifier.store import ObjectStore, open_store

SEED: Final = 27


def run_backtest(settings: PipelineSettings, release: str, since: str, limit: int, console: Console) -> Backtest:
    """Compare a published release with the predictions in the log; print and store the report.

    Raises:
        InvalidInput: If the window has no product that it can classify.
        ObjectNotFound: If the release was never published.
    """
    store = open_store(settings.store)
    now = datetime.now(UTC)
    start = window_start(since, now)
    Compactor(store).run(start.date())
    window = read_window(store, start, now, newest_release(store, start, now))
    records = sample_records(store, start, now, window, limit, SEED)
    with tempfile.TemporaryDirectory() as folder:
        models = ProductModels(fetch_release(store, release, Path(folder)).path)
        report = backtest(models, [_with_photo(store, one) for one in records], window, start, now)
    if report is None:
        raise InvalidInput(f"SINCE: no logged product from {start:%Y-%m-%d %H:%M} on; give an earlier time")
    write_backtest(store, report)
    _print(report, console)
    console.print(f"report    {settings.store}/{report.key}", highlight=False)
    return report


def _with_photo(store: ObjectStore, record: PredictionRecord) -> LoggedProduct:
    if record.product.image_sha256 is None:
        return LoggedProduct(record, b"")
    try:
        return LoggedProduct(record, store.get(image_key(record.product.image_sha256)))
    except ObjectNotFound:
        return LoggedProduct(record, b"")


def _print(report: Backtest, console: Console) -> None:
    lines = [
        f"{report.challenger} against {report.champion} on {report.products} logged products",
        f"same category  {report.agreement:.3f}",
        f"accepted       {report.champion_accepted:.3f} → {report.challenger_accepted:.3f}",
        f"confidence     {report.champion_confidence:.3f} → {report.challenger_confidence:.3f}",
    ]
    if report.champion_correct is not None and report.challenger_correct is not None:
        correct = f"{report.champion_correct:.3f} → {report.challenger_correct:.3f}"
        lines.append(f"correct        {correct}, of {report.corrected} with a correction")
    lines += [f"  {one.champion} → {one.challenger}: {one.products}" for one in report.changes]
    for line in lines:
        console.print(line, highlight=False, markup=False)
