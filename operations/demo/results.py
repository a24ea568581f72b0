"""The results of the demo as rows of tables."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from inference.simulation import report
from inference.simulation.prediction_scores import PredictionScores
from inference.simulation.report import Simulation

Row = tuple[str, ...]


@dataclass(frozen=True)
class DemoResult:
    """The three replays, the retraining run and the durations of the steps."""

    before: Simulation
    corrected: Simulation
    after: Simulation
    runs: list[dict[str, Any]]
    season: frozenset[int | str]
    """Ids of the products of the new season; empty for a catalogue that is no sample."""
    seconds: Mapping[str, float]

    @property
    def run(self) -> dict[str, Any]:
        """The only run."""
        return self.runs[0]


def quality_rows(result: DemoResult) -> list[Row]:
    """Compare quality and latency before and after, on the products without corrections."""
    replays = (result.before, result.after)
    reports = [report.to_json(replay) for replay in replays]
    rows = [("release", *(", ".join(one["requests"]["releases"]) for one in reports))]
    parts = [("all", None), ("new season", True), ("others", False)] if result.season else [("all", None)]
    for name, in_season in parts:
        evaluated = [_evaluated(replay, result.season, in_season) for replay in replays]
        label = f"weighted F1, {name} ({len(evaluated[0].labels)} products)"
        rows.append((label, *(f"{one.scores.weighted_f1:.3f}" for one in evaluated)))
    rows.append(("latency p50 / p99 (ms)", *("{p50:.0f} / {p99:.0f}".format(**one["latency_ms"]) for one in reports)))
    counts = "{answered} / {unanswered} / {degraded}"
    rows.append(("answered / not / degraded", *(counts.format(**one["requests"]) for one in reports)))
    return rows


def loop_rows(result: DemoResult) -> list[Row]:
    """Summarize corrections, run and verdict."""
    sent = report.to_json(result.corrected)["corrections"]
    verdict = result.run["verdict"]
    return [
        ("corrections sent / approvals", f"{sent['corrections_acknowledged']} / {sent['approvals']}"),
        ("products with a trusted correction", str(sent["products_that_count"])),
        ("of them in the run's snapshot", str(result.run["corrections"])),
        ("runs started", f"{len(result.runs)} (cause: {', '.join(run['cause'] for run in result.runs)})"),
        ("verdict", "promoted" if verdict["promoted"] else "not promoted"),
        *(("reason", str(reason)) for reason in verdict["reasons"]),
        ("seconds", ", ".join(f"{phase} {took:.0f}" for phase, took in result.seconds.items())),
        ("seconds in total", f"{sum(result.seconds.values()):.0f}"),
    ]


def to_markdown(header: Row, rows: Iterable[Row]) -> str:
    """Return a table as Markdown."""
    lines = [header, ("---",) * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _evaluated(replay: Simulation, season: frozenset[int | str], in_season: bool | None) -> PredictionScores:
    outcomes = (one for one in replay.outcomes if in_season is None or (one.product.product_id in season) is in_season)
    return PredictionScores.of(outcomes)
