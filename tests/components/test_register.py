import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run

from components.promote import step as promote
from components.register import step
from components.shared import published_releases
from components.shared.hold_out import hold_out_digest
from components.shared.tracking import Tracking, TrackingUnavailable
from product_classifier.bundles.bundle import verify
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import BundleRefused, ObjectExists
from product_classifier.model_names import BY_BUNDLE
from product_classifier.releases.release import open_release
from product_classifier.store import open_store
from tests.support.bundles import Place, write_products
from tests.support.fakes import FakeStore
from tests.support.promotions import LIMITS

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own


STARTED = "2026-01-02T03:04:05+00:00"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="module")
def release(place: Place) -> str:
    arguments = dict(place.trained("first", 0.8))
    folder = place.root / "first"
    write_products(folder / "train.parquet", "defgh")
    write_products(folder / "validation.parquet", "bc")
    contents = {
        "merge_report": {"corrections": {"added": 4, "skipped": 1}, "products_by_code": {"10": 3, "40": 2}},
        "suspects": {"labels": 5, "suspects": []},
        "curves": [{"step": 0, "text": 0.7, "fusion": 0.8}, {"step": 1, "text": 0.6, "fusion": 0.9}],
    }
    for name, content in contents.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return step.run(
        **arguments,
        **{name: folder / f"{name}.json" for name in contents},
        train=folder / "train.parquet",
        validation=folder / "validation.parquet",
        parameters=json.dumps({"text": {"buckets": 262144}}),
        started=STARTED,
    )


@pytest.fixture(scope="module")
def client(place: Place, release: str) -> MlflowClient:
    return MlflowClient(place.tracking_uri)


def test_the_release_folder_is_verified_and_named_in_it(place: Place, release: str) -> None:
    found = open_release(place.root / "first" / "release")

    assert (release, "d-a", "0123abc") == (found.id, found.data_revision, found.meta.git_commit)


def test_every_file_is_in_the_store_under_the_release(place: Place, release: str) -> None:
    folder = place.root / "first" / "release"
    files = {f"models/{release}/{path.relative_to(folder)}" for path in folder.rglob("*") if path.is_file()}

    assert files == set(open_store(place.store).list("models/"))


def test_the_release_names_its_runs_and_its_hold_out(place: Place, release: str) -> None:
    manifest = json.loads(open_store(place.store).get(f"models/{release}/release.json"))

    assert {"training", *BY_BUNDLE} == set(manifest["mlflow_runs"])
    assert 0.8 == manifest["metrics"]["fusion"]["weighted_f1"]
    assert manifest["metrics"]["test_set"]
    assert {"10": 3, "40": 2} == manifest["products"]


def test_each_model_has_a_nested_run_with_its_parameters_and_metrics(client: MlflowClient, release: str) -> None:
    experiment = client.get_experiment_by_name("product-classifier")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    parent = runs[release].info.run_id

    assert {release, *BY_BUNDLE} == set(runs)
    assert {parent} == {runs[kind].data.tags["mlflow.parentRunId"] for kind in BY_BUNDLE}
    assert ("262144", 0.8) == (runs["text"].data.params["buckets"], runs["text"].data.metrics["weighted_f1"])
    assert {"FINISHED"} == {run.info.status for run in runs.values()}
    assert {release} == {run.data.tags["release"] for run in runs.values()}


@pytest.fixture(scope="module")
def run(client: MlflowClient, place: Place, release: str) -> Run:
    """The run of the training."""
    return client.get_run(open_release(place.root / "first" / "release").meta.mlflow_runs["training"])


def test_the_run_begins_when_the_training_did_and_has_its_parameters_and_corrections(run: Run) -> None:
    assert datetime.fromisoformat(STARTED).timestamp() * 1000 == run.info.start_time < run.info.end_time
    assert {"text.buckets": "262144"} == run.data.params
    assert (4, 1) == (run.data.metrics["corrections.added"], run.data.metrics["corrections.skipped"])


def test_the_run_has_the_splits_with_digest_and_context(run: Run) -> None:
    found = {one.dataset.name: (one.tags[0].value, one.dataset.digest) for one in run.inputs.dataset_inputs}
    rows = {one.dataset.name: json.loads(one.dataset.profile)["num_rows"] for one in run.inputs.dataset_inputs}

    assert {"train": 5, "validation": 2, "test": 1} == rows
    assert {"training", "validation", "testing"} == {context for context, _ in found.values()}
    assert 3 == len({digest for _, digest in found.values()})


def test_the_run_has_a_curve_by_fold_and_the_suspects(client: MlflowClient, run: Run) -> None:
    curve = client.get_metric_history(run.info.run_id, "text.fold_weighted_f1")

    assert [(0, 0.7), (1, 0.6)] == [(one.step, one.value) for one in curve]
    assert {"report.html", "suspects.json"} <= {one.path for one in client.list_artifacts(run.info.run_id)}


def test_the_verdict_ends_the_run(client: MlflowClient, place: Place, release: str, run: Run) -> None:
    scores = {"weighted_f1": 0.8}
    decision = {
        "release": release,
        "champion": "r-20260101T000000-00000000",
        "promote": False,
        "reasons": ["no gain", "a category collapses"],
        "before": {"weighted_f1": 0.9},
        "after": scores,
        "confidence": 0.1,
        "test_set": "made-up",
        "limits": LIMITS,
    }
    (place.root / "decision.json").write_text(json.dumps(decision))
    (place.root / "comparison.html").write_text("<html></html>")
    promote.run(
        release,
        place.root / "decision.json",
        place.root / "comparison.html",
        place.store,
        place.tracking_uri,
        place.rollout,
        place.root / "verdict.json",
        CHALLENGE,
    )
    found = client.get_run(run.info.run_id)

    assert ("rejected", "no gain; a category collapses") == (found.data.tags["verdict"], found.data.tags["reasons"])
    assert (0.1, pytest.approx(-0.1)) == (found.data.metrics["gate.confidence"], found.data.metrics["gate.gain"])
    assert {"verdict.json", "comparison.html"} <= {one.path for one in client.list_artifacts(run.info.run_id)}
    assert ("FINISHED", run.info.start_time) == (found.info.status, found.info.start_time)


def test_each_registered_version_is_the_bundle_that_will_be_served(
    client: MlflowClient, place: Place, release: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place.tracking_uri)
    for kind, name in BY_BUNDLE.items():
        (version,) = client.search_model_versions(f"name='{name}'")
        (tmp_path / kind).mkdir()
        folder = Path(download_artifacts(f"models:/{name}/{version.version}", dst_path=str(tmp_path / kind)))

        assert release == verify(folder / "data" / "release" / kind).release == version.tags["release"]
        assert "d-a" == version.tags["data_revision"]
        assert release in version.description
        assert client.get_registered_model(name).description


def test_a_second_training_adds_a_version(place: Place, client: MlflowClient) -> None:
    second = place.register("second", 0.9)

    versions = client.search_model_versions("name='text-predictor'")
    assert second in {version.tags["release"] for version in versions}


def test_the_release_is_kept_when_mlflow_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    place = Place(tmp_path)
    arguments = {**place.trained("only", 0.8), "tracking_uri": "http://somebody:secret@127.0.0.1:1"}

    with pytest.raises(TrackingUnavailable) as refused:
        step.run(**arguments)

    (manifest,) = [key for key in open_store(place.store).list("models/") if key.endswith("release.json")]
    assert manifest.split("/")[1] in str(refused.value)
    assert "127.0.0.1:1" in str(refused.value)
    assert "secret" not in str(refused.value)


@contextmanager
def responding(status: int) -> Iterator[str]:
    """Serve an MLflow that answers every request with one status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"no")

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_registry_that_refuses_costs_the_registration_and_not_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    place = Place(tmp_path)
    with responding(status) as url:
        release = step.run(**{**place.trained("only", 0.8), "tracking_uri": url})

    told = capsys.readouterr().err
    assert open_store(place.store).exists(f"models/{release}/release.json")
    assert f"`python -m pipelines register {release}`" in told
    assert f"MLflow at {url!r}: refused" in told


def test_an_alias_of_a_deleted_version_names_no_release(tmp_path: Path) -> None:
    place = Place(tmp_path)
    release = place.register("only", 0.8)
    tracking = Tracking(place.tracking_uri, "product-classifier")
    tracking.set_champion_alias(release)
    assert {release} == tracking.aliased()

    with closing(sqlite3.connect(place.tracking_uri.removeprefix("sqlite:///"))) as database, database:
        database.execute("DELETE FROM model_version_tags")
        database.execute("DELETE FROM model_versions")
        assert 0 < database.execute("SELECT count(*) FROM registered_model_aliases").fetchone()[0]

    assert set() == tracking.aliased()


def test_a_damaged_bundle_is_not_released(tmp_path: Path) -> None:
    place = Place(tmp_path)
    arguments = place.trained("only", 0.8)
    (arguments["text"] / "model.json").write_text("{}")

    with pytest.raises(BundleRefused, match=r"model\.json"):
        step.run(**arguments)

    assert [] == list(open_store(place.store, create=True).list("models/"))


def test_a_published_file_is_never_replaced(place: Place, release: str) -> None:
    from components.shared.published_releases import publish

    found = open_release(place.root / "first" / "release")
    store = open_store(place.store)
    publish(store, found)  # the same again is fine
    (found.path / "text" / "model.json").write_text('{"mark": "other"}')

    with pytest.raises(ObjectExists, match=r"text/model\.json"):
        publish(store, found)


def test_the_digest_of_the_hold_out_depends_on_its_products_only(tmp_path: Path) -> None:
    names = {}
    for name, titles, line in [("a", "xy", 2), ("b", "xy", 99), ("c", "xz", 2)]:
        write_products(tmp_path / name, titles, line)
        names[name] = hold_out_digest(tmp_path / name)

    assert (True, False) == (names["a"] == names["b"], names["a"] == names["c"])


@pytest.mark.parametrize(("url", "keys"), [("s3://shop", ["splits/unseen.parquet"]), ("file:///shop", [])])
def test_unseen_products_are_published_to_a_bucket_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, keys: list[str]
) -> None:
    store = FakeStore()
    monkeypatch.setattr(published_releases, "open_store", lambda _: store)
    (tmp_path / "unseen.parquet").write_bytes(b"PAR1")

    published_releases.publish_unseen(tmp_path / "unseen.parquet", url)

    assert keys == list(store.list())
