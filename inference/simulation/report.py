"""What a simulation found: a dictionary for programs, a page for people."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from inference.simulation.corrections import Sent
from inference.simulation.replay import Outcome
from inference.simulation.tally import Judged, percentiles_ms, requests
from product_classifier.store import open_store

FOLDER = "simulation"
KEY_PREFIX = "reports/simulation/"
_PAGE = Path(__file__).with_name("report.html")


@dataclass(frozen=True)
class Simulation:
    """A replay that is over."""

    id: str
    asked: Mapping[str, Any]
    """The settings it ran with."""
    planned: int
    took_s: float
    outcomes: Sequence[Outcome]
    sent: Sent | None = None
    """Corrections; None where there was nobody to correct."""
    given_up: str = ""
    measured_latency: bool = True
    """False where answers were made in batches: nobody waited for one."""


def to_json(done: Simulation) -> dict[str, Any]:
    """Return everything, product by product at the end."""
    judged = Judged.of(done.outcomes)
    return {
        "id": done.id,
        "given_up": done.given_up,
        "asked": dict(done.asked),
        "took_s": round(done.took_s, 3),
        "products_per_s": round(len(judged.labels) / done.took_s, 1) if done.took_s else 0.0,
        "requests": requests(done.outcomes, done.planned),
        "latency_ms": _latency(done),
        "scores": {name: round(value, 6) for name, value in asdict(judged.scores).items()},
        "corrections": _corrections(done.sent),
        "by_category": judged.by_category(),
        "products": [_row(one, latency=done.measured_latency) for one in done.outcomes],
    }


def to_html(done: Simulation) -> str:
    """Return a page that needs nothing but itself."""
    from inference.simulation import plots  # noqa: PLC0415 - drawing takes a second to load

    judged, values = Judged.of(done.outcomes), to_json(done)
    figures = {
        "Weighted F1": plots.running_f1(judged),
        "F1 by category": plots.f1_by_category(judged),
        "Confusion": plots.confusion(judged),
    }
    if done.measured_latency:
        figures |= {
            "Latency over time": plots.latency_over_time(done.outcomes),
            "Latency": plots.latency_distribution(done.outcomes),
        }
    tables = {
        "Asked for": values["asked"] | {"took_s": values["took_s"], "products_per_s": values["products_per_s"]},
        "Requests": values["requests"],
        "Latency (ms from the planned moment)": values["latency_ms"],
        "Scores": values["scores"],
        "Corrections": values["corrections"],
    }
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_PAGE.read_text("utf-8")).render(
        id=done.id,
        given_up=done.given_up,
        tables=tables,
        figures={title: Markup(figure) for title, figure in figures.items()},  # noqa: S704 - drawn here
    )


def write(done: Simulation, folder: Path, store_url: str = "") -> Path:
    """Write both below `folder`, and into the object store if there is one; return the page."""
    files = {"json": json.dumps(to_json(done), indent=1, allow_nan=False) + "\n", "html": to_html(done)}
    store = open_store(store_url) if store_url else None
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    for suffix, content in files.items():
        (folder / FOLDER / f"{done.id}.{suffix}").write_text(content, encoding="utf-8")
    if store is not None:
        for suffix, content in files.items():
            store.put(f"{KEY_PREFIX}{done.id}.{suffix}", content.encode())
    return folder / FOLDER / f"{done.id}.html"


def _latency(done: Simulation) -> dict[str, Any]:
    """Return the percentiles of the answered, and how late this process itself was in sending."""
    if not done.measured_latency:
        return {}
    behind = percentiles_ms([one.sent_s - one.planned_s for one in done.outcomes])
    return percentiles_ms([one.latency_s for one in done.outcomes if one.answer]) | {"sent_late": behind}


def _corrections(sent: Sent | None) -> dict[str, Any]:
    if sent is None:
        return {}
    return {
        "wrong_answers_corrected": sent.wanted,
        "corrections_acknowledged": sent.corrections,
        "approvals": sent.approvals,
        "products_that_count": len(sent.products),
        "refused": dict(sent.refused.most_common()),
    }


def _row(one: Outcome, *, latency: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"product_id": one.product.product_id, "code": one.product.code, "half": one.product.half}
    row["answer"] = one.answer.code if one.answer else None
    if latency:
        row |= {"planned_s": round(one.planned_s, 4), "latency_ms": round(one.latency_s * 1000, 2)}
    return row
