"""What the demonstration found, as rows of a table."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from inference.simulation import report
from inference.simulation.report import Simulation
from inference.simulation.tally import Judged

Row = tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """Everything the loop went through."""

    before: Simulation
    corrected: Simulation
    after: Simulation
    runs: list[dict[str, Any]]
    season: frozenset[int]
    """Products of the new season."""
    seconds: Mapping[str, float]

    @property
    def run(self) -> dict[str, Any]:
        """The run."""
        return self.runs[0]


def quality(found: Found) -> list[Row]:
    """Compare before and after, on products nobody corrected."""
    replays = (found.before, found.after)
    everything = [report.to_json(one) for one in replays]
    rows = [("release", *(", ".join(one["requests"]["releases"]) for one in everything))]
    for name, wanted in (("all", None), ("new season", True), ("others", False)):
        judged = [_judged(one, found.season, wanted) for one in replays]
        label = f"weighted F1, {name} ({len(judged[0].labels)} products)"
        rows.append((label, *(f"{one.scores.weighted_f1:.3f}" for one in judged)))
    rows.append(
        ("latency p50 / p99 (ms)", *("{p50:.0f} / {p99:.0f}".format(**one["latency_ms"]) for one in everything))
    )
    told = ("answered / not / degraded", "{answered} / {unanswered} / {degraded}")
    rows.append((told[0], *(told[1].format(**one["requests"]) for one in everything)))
    return rows


def loop(found: Found) -> list[Row]:
    """Say what led from the one to the other."""
    sent = report.to_json(found.corrected)["corrections"]
    verdict = found.run["verdict"]
    return [
        ("corrections sent / approvals", f"{sent['corrections_acknowledged']} / {sent['approvals']}"),
        ("products with a correction that counts", str(sent["products_that_count"])),
        ("of them in the run's snapshot", str(found.run["corrections"])),
        ("runs started", f"{len(found.runs)} (cause: {', '.join(run['cause'] for run in found.runs)})"),
        ("verdict", "promoted" if verdict["promoted"] else "not promoted"),
        *(("reason", str(reason)) for reason in verdict["reasons"]),
        ("seconds", ", ".join(f"{phase} {took:.0f}" for phase, took in found.seconds.items())),
        ("seconds in all", f"{sum(found.seconds.values()):.0f}"),
    ]


def to_markdown(header: Row, rows: Iterable[Row]) -> str:
    """Return a table as Markdown."""
    lines = [header, ("---",) * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _judged(done: Simulation, season: frozenset[int], wanted: bool | None) -> Judged:
    return Judged.of(one for one in done.outcomes if wanted is None or (one.product.product_id in season) is wanted)
