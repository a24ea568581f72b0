"""A release that was trained elsewhere is checked, published and deployed; errors name its location."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from components.shared.imported_releases import import_release
from components.shared.published_releases import publish
from components.shared.rollout.rollout import LocalRollout
from components.shared.rollout.smoke import SmokeTest
from components.shared.rollout.switch import Switch
from product_classifier.errors import BundleRefused, InvalidSettings, ObjectNotFound
from product_classifier.evaluation.gate import GateLimits
from product_classifier.releases.release import Release
from product_classifier.store import open_store
from product_classifier.stored_taxonomy.change_store import read_state
from product_classifier.taxonomy import Category, Taxonomy
from tests.support.fakes import FakeStore
from tests.support.promotions import LIMITS
from tests.support.servers import moto_server
from tests.support.tiny_release import make_release


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return make_release(tmp_path_factory.mktemp("elsewhere"), 1)


def deployment(folder: Path) -> Switch:
    store = FakeStore()
    return Switch(store, LocalRollout(folder / "releases", store), SmokeTest("", GateLimits(**LIMITS), 0))


@pytest.mark.parametrize("location", [str, lambda path: path.as_uri()])
def test_a_release_in_a_folder_is_published_and_deployed(
    release: Release, tmp_path: Path, location: Callable[[Path], str]
) -> None:
    switch = deployment(tmp_path)

    assert release.id == import_release(location(release.path), switch)
    assert release.id == switch.rollout.current()
    assert switch.store.exists(f"models/{release.id}/release.json")


def test_a_release_is_imported_again_without_a_change(release: Release, tmp_path: Path) -> None:
    switch = deployment(tmp_path)
    first = import_release(str(release.path), switch)

    assert first == import_release(str(release.path), switch) == switch.rollout.current()


def test_another_release_replaces_the_champion(release: Release, tmp_path: Path) -> None:
    switch = deployment(tmp_path)
    import_release(str(release.path), switch)
    other = make_release(tmp_path / "other", 2)

    assert import_release(str(other.path), switch) == switch.rollout.current() == other.id


def test_a_release_below_a_prefix_of_a_bucket_is_imported(
    release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with moto_server() as url:
        settings = {"S3_ENDPOINT": url, "AWS_ACCESS_KEY_ID": "a" * 8, "AWS_SECRET_ACCESS_KEY": "b" * 8}
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        publish(open_store("s3://elsewhere", create=True), release)
        switch = deployment(tmp_path)

        assert release.id == import_release(f"s3://elsewhere/models/{release.id}/", switch)
        with pytest.raises(ObjectNotFound, match=r"s3://elsewhere/models: has no release\.json; name the folder"):
            import_release("s3://elsewhere/models", switch)


@pytest.mark.parametrize(
    ("location", "error", "message"),
    [
        ("s3://bucket", InvalidSettings, r"'s3://bucket': names no release; use s3://bucket/prefix"),
        ("s3:///models/r", InvalidSettings, "names no release"),
        ("http://host/r", InvalidSettings, r"'http://host/r': is no location .* use a folder, file:///folder or s3://"),
        ("file://host/r", InvalidSettings, "is no location of a release"),
        ("/nowhere/r-1", ObjectNotFound, "/nowhere/r-1: no such folder; name the folder of one release"),
        ("file:///nowhere/r%201", ObjectNotFound, "/nowhere/r 1: no such folder"),
    ],
)
def test_a_location_without_a_release_is_named(
    tmp_path: Path, location: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        import_release(location, deployment(tmp_path))


def test_a_folder_of_several_releases_is_refused(release: Release, tmp_path: Path) -> None:
    folder = release.path.parent
    with pytest.raises(ObjectNotFound, match=rf"{folder}: has no release\.json; name one in it, .*{release.id}"):
        import_release(str(folder), deployment(tmp_path))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ObjectNotFound, match=r"empty: has no release\.json; name the folder"):
        import_release(str(tmp_path / "empty"), deployment(tmp_path))


def _damage(folder: Path) -> None:
    weights = folder / "text" / "weights.npz"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")


def _remove(folder: Path) -> None:
    (folder / "image" / "model.onnx").unlink()


def _add(folder: Path) -> None:
    (folder / "text" / "model.pkl").write_bytes(b"")


def _garble(folder: Path) -> None:
    (folder / "release.json").write_text("{")


@pytest.mark.parametrize(
    ("damage", "file"),
    [(_damage, "weights.npz"), (_remove, "image/model.onnx"), (_add, "model.pkl"), (_garble, r"release\.json")],
)
def test_a_damaged_release_is_refused_and_the_champion_stays(
    release: Release, tmp_path: Path, damage: Callable[[Path], None], file: str
) -> None:
    switch = deployment(tmp_path)
    champion = import_release(str(make_release(tmp_path / "champion", 3).path), switch)
    broken = tmp_path / "broken"
    shutil.copytree(release.path, broken)
    damage(broken)

    with pytest.raises(BundleRefused, match=rf"{broken}: .*{file}.*; copy the release again"):
        import_release(str(broken), switch)
    assert champion == switch.rollout.current()


def test_the_store_has_taxonomy_and_products_of_the_imported_release(release: Release, tmp_path: Path) -> None:
    switch = deployment(tmp_path)
    other = make_release(tmp_path / "other", 2, Taxonomy(tuple(map(Category, ("tea", "coffee")))))

    for one in (release, other):
        import_release(str(one.path), switch)

        state = read_state(switch.store)
        assert (one.taxonomy, one.meta.products) == (state.in_service, state.products)
