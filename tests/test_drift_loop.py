"""Drift to labels to a run: monitoring, the label queue and the trigger on one store."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from components.act_on_drift import step as act_on_drift
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.prediction_index import PredictionIndex
from product_classifier.feedback.queue_candidates import CandidateSource
from product_classifier.feedback.records import Correction, new_id
from product_classifier.feedback.stored_products import read_prediction
from product_classifier.retraining import RunStore, list_runs
from product_classifier.retraining.settings import RetrainSettings
from product_classifier.retraining.trigger import Trigger
from product_classifier.store import ObjectStore, open_store
from product_classifier.stored_taxonomy.change_store import StoredTaxonomy
from tests.support.monitored_store import drifted, record
from tests.support.retraining_fakes import FakeClock, FakeLauncher

LABELLED = 3
SETTINGS = RetrainSettings.model_validate({"min_corrections": 50, "RETRAIN_COOLDOWN": 0, "lease_s": 10})


def label(store: ObjectStore, prediction_id: str, now: datetime) -> None:
    """Submit what a simulated reviewer says of a product in the queue."""
    prediction = read_prediction(store, prediction_id)
    correction = Correction(
        feedback_id=new_id(now),
        created=now,
        user="eve",
        role="reviewer",
        prediction_id=prediction_id,
        product=prediction.product,
        code="40",
        predicted=prediction.code,
        release=prediction.release,
    )
    store.put(correction.key, correction.to_json())


def test_drifted_products_are_labelled_and_start_one_run_of_that_cause(tmp_path: Path) -> None:
    url = (tmp_path / "store").as_uri()
    store = open_store(url, create=True)
    clock = FakeClock()
    records = [
        record(minutes).model_copy(update={"product": record(minutes).product.model_copy(update={"designation": name})})
        for minutes, name in enumerate(("Lampe", "Vase", "Livre", "Jeu"), 1)
    ]
    window = drifted(url, *records)
    trigger = Trigger(store, FakeLauncher(store, clock), SETTINGS, clock)
    assert "waiting" == trigger.reconcile().step

    actions = act_on_drift.run(url, window.window_id, "retrain", min_corrections=LABELLED)
    assert any("without them none starts" in one for one in actions)
    assert "waiting" == trigger.reconcile().step  # no label, no run

    predictions, corrections = PredictionIndex(store, StoredTaxonomy(store)), FeedbackIndex(store)
    for index in (predictions, corrections):
        index.refresh()
    queue = CandidateSource(store, predictions, corrections).collect(window.created)
    offered = [one.item_id for one in queue]
    assert {one.prediction_id for one in records} == set(offered)
    assert "drifted" == queue[0].reason  # a product that is uncertain as well is offered once
    for prediction_id in offered[:LABELLED]:
        label(store, prediction_id, datetime.now(UTC) + timedelta(seconds=1))

    trigger = Trigger(store, FakeLauncher(store, clock), SETTINGS, clock)
    claimed = trigger.reconcile()
    assert ("claimed", LABELLED) == (claimed.step, claimed.corrections)
    assert ["drift"] == [run.cause for run in list_runs(RunStore(store))]

    quiet = drifted(url, *records, verdict="quiet")
    assert () == act_on_drift.run(url, quiet.window_id, "retrain")
    assert not store.exists("retrain/drift.json")
