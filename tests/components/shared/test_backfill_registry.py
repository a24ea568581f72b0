"""A release that was published during an MLflow outage is registered later by command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from components.register import step
from components.shared.backfill_registry import backfill_registry
from components.shared.tracking import Tracking, TrackingUnavailable
from pipelines.__main__ import main
from product_classifier.errors import ObjectNotFound
from product_classifier.model_names import MODELS
from product_classifier.store import open_store
from tests.support.bundles import Place

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("place"))


@pytest.fixture(scope="module")
def champion(place: Place) -> str:
    release = place.register("champion", 0.7)
    Tracking(place.tracking_uri, "product-classifier").set_champion_alias(release)
    return release


@pytest.fixture
def release(place: Place, champion: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A release that was published during an MLflow outage."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    before = published(place)
    with pytest.raises(TrackingUnavailable):
        step.run(**{**place.trained(request.node.name, 0.8), "tracking_uri": "http://127.0.0.1:1"})
    (name,) = published(place) - before
    return name


def published(place: Place) -> set[str]:
    return {key.split("/")[1] for key in open_store(place.store, create=True).list("models/")}


def runs_by_model(client: MlflowClient, release: str) -> dict[str, list[str]]:
    """Return the runs of each model's versions of a release."""
    return {
        name: [one.run_id for one in client.search_model_versions(f"name='{name}' and tags.release='{release}'")]
        for name in MODELS
    }


def test_the_command_keeps_releases_with_an_alias(
    place: Place, champion: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STORE_URL", place.store)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place.tracking_uri)
    monkeypatch.setenv("ROLLOUT_URL", place.rollout)
    old, store = "r-20200101T000000-00000000", open_store(place.store)
    store.put(f"models/{old}/release.json", b"{}")

    assert {champion} == Tracking(place.tracking_uri, "product-classifier").aliased()
    assert [0, 0] == [main(["releases", "--prune", "0"]) for _ in range(2)]

    assert f"deleted {old}\nnothing to delete: every release is needed\n" == capsys.readouterr().out
    assert champion in published(place) - {old}


def test_the_command_registers_what_is_missing_and_moves_no_alias(place: Place, champion: str, release: str) -> None:
    command = [sys.executable, "-m", "pipelines", "register", release]
    environment = os.environ | {"STORE_URL": place.store, "MLFLOW_TRACKING_URI": place.tracking_uri}

    outputs = [
        subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout.strip()
        for _ in range(2)
    ]

    client = MlflowClient(place.tracking_uri)
    assert [
        f"release {release}: registered text-predictor, image-predictor, fusion-transformer",
        f"release {release}: all its models are registered already",
    ] == outputs
    assert [1, 1, 1] == [len(runs) for runs in runs_by_model(client, release).values()]
    (text,) = runs_by_model(client, release)["text-predictor"]
    assert 0.8 == client.get_run(text).data.metrics["weighted_f1"]
    champions = [client.get_model_version_by_alias(name, "champion") for name in MODELS]
    assert {champion} == {version.tags["release"] for version in champions}


def test_an_interrupted_registration_is_completed_with_the_same_runs(place: Place, release: str) -> None:
    client = MlflowClient(place.tracking_uri)
    backfill_registry(release, place.store, place.tracking_uri)
    before = runs_by_model(client, release)
    (fusion,) = client.search_model_versions(f"name='fusion-transformer' and tags.release='{release}'")
    client.delete_model_version(fusion.name, fusion.version)

    assert ["fusion-transformer"] == backfill_registry(release, place.store, place.tracking_uri)
    assert before == runs_by_model(client, release)


def test_the_runs_that_the_release_names_are_reused(place: Place, champion: str) -> None:
    client = MlflowClient(place.tracking_uri)
    before = runs_by_model(client, champion)
    (image,) = client.search_model_versions(f"name='image-predictor' and tags.release='{champion}'")
    client.delete_model_version(image.name, image.version)

    assert ["image-predictor"] == backfill_registry(champion, place.store, place.tracking_uri)
    assert before == runs_by_model(client, champion)


def test_a_release_that_was_never_published_is_named(place: Place) -> None:
    with pytest.raises(ObjectNotFound, match="'r-20260101T000000-00000000': was never published"):
        backfill_registry("r-20260101T000000-00000000", place.store, place.tracking_uri)
