"""A simulation while it runs, on one line of the terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from inference.simulation.corrections import Sent
from inference.simulation.replay import Outcome
from inference.simulation.tally import Tally

EVERY = 10
"""Percentiles are worked out once per so many answers."""


@contextmanager
def shown(console: Console, total: int, sent: Callable[[], Sent | None]) -> Iterator[Callable[[Outcome], None]]:
    """Show running figures; yields what is to be told of each outcome."""
    tally = Tally()
    columns = (BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.fields[said]}"))
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=total, said="")

        def tell(outcome: Outcome) -> None:
            tally.add(outcome)
            done = tally.answered + tally.unanswered
            progress.update(task, completed=done)
            if done % EVERY == 0 or done == total:
                progress.update(task, said=_said(tally, sent()))

        yield tell


def _said(tally: Tally, sent: Sent | None) -> str:
    words = [f"F1 {tally.weighted_f1:.3f}"]
    if latency := tally.latency_ms():
        words.append("p50/p95/p99 " + "/".join(f"{latency[name]:.0f}" for name in ("p50", "p95", "p99")) + " ms")
    words.append(f"unanswered {tally.unanswered}, degraded {tally.degraded}")
    if sent is not None:
        words.append(f"corrected {len(sent.products)}")
    return " · ".join(words)
