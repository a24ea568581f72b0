"""Show a person the releases that are kept, and bring one of them back."""

from datetime import UTC, datetime

from rich.console import Console
from rich.table import Column, Table

from components.shared.rollout import retention
from components.shared.rollout.releases import NoRelease, kept_releases, roll_back
from components.shared.rollout.rollout import open_rollout
from components.shared.rollout.smoke import Smoke
from components.shared.rollout.switch import Switch
from components.shared.tracking import Tracking
from pipelines.settings import Settings
from product_classifier.errors import ProductClassifierError
from product_classifier.store import open_store


class NotRolledBack(ProductClassifierError):
    """The release did not hold; the message says why, and what serves now."""


def show(settings: Settings, console: Console) -> None:
    """Print the kept releases, newest first."""
    store = open_store(settings.store)
    whole = [Column(name, no_wrap=True) for name in ("release", "created")]  # an id is there to be copied
    table = Table(*whole, "F1", "corrections", "state", box=None, padding=(0, 1, 0, 0))
    for kept in kept_releases(store, open_rollout(settings.rollout, store)):
        count = "?" if kept.corrections is None else str(kept.corrections)
        score = "–" if kept.weighted_f1 is None else f"{kept.weighted_f1:.4f}"
        table.add_row(kept.release, kept.created[:16], score, count, kept.state)
    if not table.row_count:
        raise NoRelease(f"no release is kept in {settings.store}")
    console.print(table)


def prune(settings: Settings, keep: int, console: Console) -> None:
    """Delete the releases that nobody needs, all but the newest `keep` of them; say which."""
    store = open_store(settings.store)
    named = Tracking(settings.tracking, settings.experiment).aliased()
    gone = retention.prune(store, open_rollout(settings.rollout, store), named, keep, datetime.now(UTC))
    for release in gone:
        console.print(f"{release} is deleted", highlight=False)
    if not gone:
        console.print("every release is needed", highlight=False)


def back(settings: Settings, release: str, console: Console) -> None:
    """Put a kept release into service, by default the one before the current; the alias in MLflow follows it."""
    store = open_store(settings.store)
    switch = Switch(store, open_rollout(settings.rollout, store), Smoke(settings.service_url))
    switched = roll_back(switch, release)
    if not switched.done:
        raise NotRolledBack("; ".join(switched.reasons))
    console.print("; ".join(switched.reasons), highlight=False)
    if current := switch.rollout.current():
        Tracking(settings.tracking, settings.experiment).crown(current)
