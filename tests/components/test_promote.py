import json
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from components.promote import step
from components.promote.rollout import LocalRollout, open_rollout
from components.tracking import TrackingUnavailable
from product_classifier.errors import BundleRefused, ObjectNotFound
from product_classifier.release import open_release
from product_classifier.store import open_store
from tests.components.bundles import Place

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Let MLflow make its tables once, which takes it seconds."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def place(tmp_path: Path, empty_database: Path) -> Place:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return Place(tmp_path)


def promote(place: Place, release: str) -> bool:
    verdict = place.root / f"{release}.verdict.json"
    return step.run(release, place.store, place.tracking_uri, place.rollout, verdict)


def in_service(place: Place) -> str | None:
    return LocalRollout(place.root / "releases", open_store(place.store)).current()


def test_a_better_release_takes_over_and_a_worse_one_does_not(place: Place) -> None:
    first, worse, better = (place.register(name, score) for name, score in [("a", 0.8), ("b", 0.7), ("c", 0.9)])

    assert [True, False, True] == [promote(place, release) for release in (first, worse, better)]
    assert better == in_service(place)
    alias = MlflowClient(place.tracking_uri).get_model_version_by_alias("fusion-transformer", "champion")
    assert better == alias.tags["release"]
    kept = json.loads(open_store(place.store).get(f"reports/promotions/{worse}.json"))
    assert (worse, False, first) == (kept["release"], kept["promote"], kept["champion"]["release"])
    assert kept == json.loads((place.root / f"{worse}.verdict.json").read_text())


def test_a_release_for_other_products_takes_over_whatever_its_score(place: Place) -> None:
    sample, real = place.register("a", 0.9, "sample"), place.register("b", 0.6, "real")

    assert [True, True] == [promote(place, sample), promote(place, real)]


def test_promoting_again_changes_nothing(place: Place) -> None:
    release = place.register("a", 0.8)

    assert [True, True] == [promote(place, release), promote(place, release)]
    assert release == in_service(place)


def test_what_is_put_into_service_is_a_verified_copy_of_the_store(place: Place) -> None:
    release = place.register("a", 0.8)
    promote(place, release)

    assert release == open_release(place.root / "releases" / release).id
    assert ["champion", release] == sorted(path.name for path in (place.root / "releases").iterdir())


@pytest.mark.parametrize("damaged", ["text/model.json", "image/bundle.json", "release.json"])
def test_a_release_damaged_in_the_store_is_refused_and_the_champion_stays(place: Place, damaged: str) -> None:
    champion = place.register("a", 0.8)
    promote(place, champion)
    release = place.register("b", 0.9)
    key = f"models/{release}/{damaged}"
    store = open_store(place.store)
    store.put(key, store.get(key)[:-9])

    with pytest.raises(BundleRefused):
        promote(place, release)

    assert champion == in_service(place)


def test_a_damaged_champion_does_not_block_its_successor(place: Place) -> None:
    champion = place.register("a", 0.9)
    promote(place, champion)
    (place.root / "releases" / champion / "text" / "model.json").write_text("{}")

    assert promote(place, place.register("b", 0.5))


def test_a_release_nobody_published_is_named(place: Place) -> None:
    place.register("a", 0.8)

    with pytest.raises(ObjectNotFound, match="r-20200101T000000-00000000"):
        promote(place, "r-20200101T000000-00000000")


def test_a_release_the_registry_does_not_know_is_named(place: Place, empty_database: Path) -> None:
    release = place.register("a", 0.8)
    shutil.copy(empty_database, place.root / "other.db")

    with pytest.raises(TrackingUnavailable, match=release):
        step.run(release, place.store, f"sqlite:///{place.root}/other.db", place.rollout, place.root / "verdict.json")


@pytest.mark.parametrize("url", ["releases", "http://localhost/x", "file:x", ""])
def test_a_rollout_that_is_no_folder_is_refused(place: Place, url: str) -> None:
    with pytest.raises(ValueError, match="file:///folder"):
        open_rollout(url, open_store(place.store, create=True))
