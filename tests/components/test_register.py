import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from components.register import step
from components.shared import published_releases
from components.shared.hold_out import hold_out_digest
from components.shared.tracking import Tracking, TrackingUnavailable
from product_classifier.bundles.bundle import verify
from product_classifier.errors import BundleRefused, ObjectExists
from product_classifier.model_names import BY_BUNDLE
from product_classifier.releases.release import open_release
from product_classifier.store import open_store
from tests.support.bundles import Place, write_products
from tests.support.fakes import FakeStore

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="module")
def release(place: Place) -> str:
    arguments = dict(place.trained("first", 0.8))
    return step.run(**arguments, parameters=json.dumps({"text": {"buckets": 262144}}))


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


def test_each_model_has_a_nested_run_with_its_parameters_and_metrics(client: MlflowClient, release: str) -> None:
    experiment = client.get_experiment_by_name("product-classifier")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    parent = runs["training"].info.run_id

    assert {"training", *BY_BUNDLE} == set(runs)
    assert {parent} == {runs[kind].data.tags["mlflow.parentRunId"] for kind in BY_BUNDLE}
    assert ("262144", 0.8) == (runs["text"].data.params["buckets"], runs["text"].data.metrics["weighted_f1"])
    assert {"FINISHED"} == {run.info.status for run in runs.values()}
    assert {release} == {run.data.tags["release"] for run in runs.values()}


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
