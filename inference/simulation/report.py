"""Reports of a simulation: JSON and an HTML page."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from inference.simulation.correction_simulator import CorrectionCounts
from inference.simulation.open_loop import RequestOutcome
from inference.simulation.prediction_scores import PredictionScores, count_requests, percentiles_ms
from product_classifier.store import open_store

FOLDER = "simulation"
KEY_PREFIX = "reports/simulation/"
_PAGE = Path(__file__).with_name("report.html")


@dataclass(frozen=True)
class Simulation:
    """A finished simulation."""

    id: str
    settings: Mapping[str, Any]
    planned: int
    duration_s: float
    outcomes: Sequence[RequestOutcome]
    corrections: CorrectionCounts | None = None
    """None if no prediction was to be corrected."""
    abort_reason: str = ""
    """Why it ended early; empty if it did not."""
    measured_latency: bool = True
    """False for predictions in batches, where no request has a latency."""


def to_json(done: Simulation) -> dict[str, Any]:
    """Return the report as JSON; `products` has one row per request."""
    found = PredictionScores.of(done.outcomes)
    return {
        "id": done.id,
        "given_up": done.abort_reason,
        "asked": dict(done.settings),
        "took_s": round(done.duration_s, 3),
        "products_per_s": round(len(found.labels) / done.duration_s, 1) if done.duration_s else 0.0,
        "requests": count_requests(done.outcomes, done.planned),
        "latency_ms": _latency(done),
        "scores": {name: round(value, 6) for name, value in asdict(found.scores).items()},
        "corrections": _corrections(done.corrections),
        "by_category": found.by_category(),
        "products": [_row(one, latency=done.measured_latency) for one in done.outcomes],
    }


def to_html(done: Simulation) -> str:
    """Return the report as a page that loads no other file."""
    from inference.simulation import plots  # noqa: PLC0415 - matplotlib takes a second to import

    found, values = PredictionScores.of(done.outcomes), to_json(done)
    figures = {
        "Weighted F1": plots.running_f1(found),
        "F1 by category": plots.f1_by_category(found),
        "Confusion": plots.confusion(found),
    }
    if done.measured_latency:
        figures |= {
            "Latency over time": plots.latency_over_time(done.outcomes),
            "Latency": plots.latency_distribution(done.outcomes),
        }
    tables = {
        "Settings": values["asked"] | {"took_s": values["took_s"], "products_per_s": values["products_per_s"]},
        "Requests": values["requests"],
        "Latency from the planned time (ms)": values["latency_ms"],
        "Scores": values["scores"],
        "Corrections": values["corrections"],
    }
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_PAGE.read_text("utf-8")).render(
        id=done.id,
        abort_reason=done.abort_reason,
        tables=tables,
        figures={title: Markup(figure) for title, figure in figures.items()},  # noqa: S704 - made by plots
    )


def write(done: Simulation, folder: Path, store_url: str = "") -> Path:
    """Write both below `folder`, and to the object store if a URL is given; return the page."""
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
    """Return percentiles of the latency, and of the delay of this process in sending."""
    if not done.measured_latency:
        return {}
    delay = percentiles_ms([one.sent_s - one.planned_s for one in done.outcomes])
    return percentiles_ms([one.latency_s for one in done.outcomes if one.prediction]) | {"sent_late": delay}


def _corrections(counts: CorrectionCounts | None) -> dict[str, Any]:
    if counts is None:
        return {}
    return {
        "wrong_answers_corrected": counts.wrong,
        "corrections_acknowledged": counts.corrections,
        "approvals": counts.approvals,
        "products_that_count": len(counts.products),
        "refused": dict(counts.refused.most_common()),
    }


def _row(one: RequestOutcome, *, latency: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"product_id": one.product.product_id, "code": one.product.code, "half": one.product.half}
    row["answer"] = one.prediction.code if one.prediction else None
    if latency:
        row |= {"planned_s": round(one.planned_s, 4), "latency_ms": round(one.latency_s * 1000, 2)}
    return row
