"""Reports of a simulation as JSON and HTML."""

import json
import re
from pathlib import Path

import pytest

from inference.simulation.correction_simulator import CorrectionCounts
from inference.simulation.open_loop import RequestOutcome, SimulatedPrediction
from inference.simulation.report import Simulation, to_html, to_json, write
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.store import open_store
from tests.inference.simulation.conftest import make_product

RIGHT, WRONG = CHALLENGE.codes[3], CHALLENGE.codes[4]
RELEASE = "r-20300101T000000-0badcafe"


def outcome(number: int, predicted: int | None, duration_s: float = 0.1, **changes: object) -> RequestOutcome:
    prediction = (
        None if predicted is None else SimulatedPrediction(predicted, confidence=0.8, release=RELEASE, **changes)  # type: ignore[arg-type]
    )
    reason = "" if prediction else "503: too many <requests> at once"
    return RequestOutcome(make_product(number, RIGHT), number, number + 0.01, number + duration_s, prediction, reason)


@pytest.fixture
def done() -> Simulation:
    """Four predictions, one of them wrong and one degraded, and a failed request."""
    outcomes = [outcome(0, RIGHT), outcome(1, RIGHT, 0.3, degraded=True), outcome(2, WRONG), outcome(3, RIGHT)]
    counts = CorrectionCounts(wrong=1, corrections=2, products={"k"})
    settings = {"url": "http://gateway/<b>", "rate": 2.0}
    return Simulation("s1", settings, 5, 2.0, [*outcomes, outcome(4, None, 9.0)], counts)


def test_requests_latency_and_corrections_are_counted(done: Simulation) -> None:
    found = to_json(done)

    assert {
        "planned": 5,
        "answered": 4,
        "unanswered": 1,
        "degraded": 1,
        "reasons": {"503: too many <requests> at once": 1},
        "releases": {RELEASE: 4},
    } == found["requests"]
    assert (100, 300) == (found["latency_ms"]["p50"], found["latency_ms"]["max"])
    assert 10 == found["latency_ms"]["sent_late"]["max"]
    assert {
        "wrong_answers_corrected": 1,
        "corrections_acknowledged": 2,
        "approvals": 0,
        "products_that_count": 1,
        "refused": {},
    } == found["corrections"]
    assert 2 == found["products_per_s"]


def test_the_scores_are_those_of_the_predictions(done: Simulation) -> None:
    found = to_json(done)

    f1 = 2 * 3 / (3 + 4)  # three hits, three predictions, four times true
    assert (round(f1, 6), 0.75, 4) == tuple(found["scores"][name] for name in ("weighted_f1", "accuracy", "items"))
    assert [(RIGHT, 4, 0.75)] == [
        (one["code"], one["items"], one["recall"]) for one in found["by_category"] if one["items"]
    ]


def test_every_product_is_listed_with_its_prediction(done: Simulation) -> None:
    assert [RIGHT, RIGHT, WRONG, RIGHT, None] == [row["answer"] for row in to_json(done)["products"]]


def test_the_page_loads_nothing_and_escapes_text(done: Simulation) -> None:
    page = to_html(done)

    assert 5 == page.count("<svg")
    assert not re.search(r"<script|src=|href=\"http|url\(http", page)
    assert "http://gateway/&lt;b&gt;" in page
    assert "too many &lt;requests&gt; at once" in page


def test_without_measured_latency_none_is_reported(done: Simulation) -> None:
    batch = Simulation("s1", {}, 5, 2.0, done.outcomes, measured_latency=False)

    assert {} == to_json(batch)["latency_ms"]
    assert "latency_ms" not in to_json(batch)["products"][0]
    assert 3 == to_html(batch).count("<svg")


def test_an_aborted_simulation_without_predictions_has_a_report() -> None:
    nothing = Simulation("s1", {}, 9, 1.0, [outcome(0, None)], abort_reason="the gateway is <down>")

    assert 0 == to_json(nothing)["scores"]["weighted_f1"]
    assert "Ended early: the gateway is &lt;down&gt;" in to_html(nothing)


def test_both_files_are_written_to_the_folder_and_the_store(done: Simulation, tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/store", create=True)
    page = write(done, tmp_path / "reports", f"file://{tmp_path}/store")

    assert tmp_path / "reports/simulation/s1.html" == page
    assert to_json(done) == json.loads((tmp_path / "reports/simulation/s1.json").read_text())
    for suffix in ("json", "html"):
        assert store.get(f"reports/simulation/s1.{suffix}") == page.with_suffix(f".{suffix}").read_bytes()
