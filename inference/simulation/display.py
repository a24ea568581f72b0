"""Progress of a running simulation on one line of the terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from inference.simulation.correction_simulator import CorrectionCounts
from inference.simulation.open_loop import RequestOutcome
from inference.simulation.prediction_scores import RunningScores

UPDATE_EVERY = 10
"""Outcomes between two updates of the scores and percentiles."""


@contextmanager
def progress_line(
    console: Console, total: int, counts: CorrectionCounts | None
) -> Iterator[Callable[[RequestOutcome], None]]:
    """Show running scores; yield the function that receives each outcome."""
    scores = RunningScores()
    columns = (BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.fields[summary]}"))
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=total, summary="")

        def update(outcome: RequestOutcome) -> None:
            scores.add(outcome)
            done = scores.answered + scores.unanswered
            progress.update(task, completed=done)
            if done % UPDATE_EVERY == 0 or done == total:
                progress.update(task, summary=_summary(scores, counts))

        yield update


def _summary(scores: RunningScores, counts: CorrectionCounts | None) -> str:
    parts = [f"F1 {scores.weighted_f1:.3f}"]
    if latency := scores.latency_ms():
        parts.append("p50/p95/p99 " + "/".join(f"{latency[name]:.0f}" for name in ("p50", "p95", "p99")) + " ms")
    parts.append(f"unanswered {scores.unanswered}, degraded {scores.degraded}")
    if counts is not None:
        parts.append(f"corrected {len(counts.products)}")
    return " · ".join(parts)
