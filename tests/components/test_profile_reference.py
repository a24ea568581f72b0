"""The reference profile of a release, measured on its training products."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from components.profile_reference import step
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import BundleRefused
from product_classifier.monitoring.measured_products import MISSING
from product_classifier.monitoring.reference_profile import ARRAYS_FILE, SETTINGS_FILE, ReferenceProfile
from product_classifier.monitoring.text_measures import VOCABULARY_BUCKETS, word_buckets, words_of
from product_classifier.releases.release import ReleaseMeta, write_release


@pytest.fixture(scope="module")
def folder(splits_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    reference = tmp_path_factory.mktemp("profile") / "reference"
    step.run(
        splits_dir / "train.parquet",
        splits_dir / "validation.parquet",
        splits_dir,
        splits_dir / "text_out_of_fold.parquet",
        splits_dir / "image_out_of_fold.parquet",
        splits_dir / "fusion",
        reference,
    )
    return reference


@pytest.fixture
def profile(folder: Path) -> ReferenceProfile:
    found = ReferenceProfile.load(folder)
    assert found is not None
    return found


def test_every_training_product_is_measured(profile: ReferenceProfile) -> None:
    products = profile.products

    assert 12 * len(CHALLENGE) == len(products) == len(profile.correct)
    assert 0.4 < profile.correct.mean() < 1
    assert {0, 1} == set(products.photo_missing.tolist())
    assert (products.text_length[products.designation_missing == 1] >= MISSING).all()
    assert set(products.disagreement[products.photo_missing == 1].tolist()) == {MISSING}
    assert 0 <= products.confidence.min() <= products.confidence.max() <= 1


def test_known_words_are_known_and_others_are_not(profile: ReferenceProfile) -> None:
    known = word_buckets(words_of(CHALLENGE.label(CHALLENGE.codes[0]), ""), VOCABULARY_BUCKETS)
    other = word_buckets(words_of("zyxwv qqqqq", ""), VOCABULARY_BUCKETS)

    assert 0 == profile.share_unknown(known)
    assert 1 == profile.share_unknown(other)
    assert np.isnan(profile.share_unknown(other[:0]))


def test_a_profile_holds_no_text(folder: Path) -> None:
    content = b"".join(path.read_bytes() for path in folder.iterdir())

    assert not any(word.encode() in content for word in ("ancien", "solide", CHALLENGE.label(CHALLENGE.codes[0])))
    assert len(content) < 1_000_000


def test_a_release_carries_the_profile_and_a_release_without_one_has_none(
    folder: Path, splits_dir: Path, tmp_path: Path
) -> None:
    bundles = [splits_dir / kind for kind in ("text", "image", "fusion")]
    release = write_release(tmp_path / "r", *bundles, ReleaseMeta("made-up"), CHALLENGE, folder)

    assert ReferenceProfile.load(release.path / "fusion") is not None
    assert "fusion/reference.npz" in release.files
    assert ReferenceProfile.load(splits_dir / "release" / "fusion") is None


def test_words_of_another_version_are_not_compared(folder: Path, tmp_path: Path) -> None:
    for name in (SETTINGS_FILE, ARRAYS_FILE):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    settings = (tmp_path / SETTINGS_FILE).read_text()
    (tmp_path / SETTINGS_FILE).write_text(settings.replace('"version": 1', '"version": 2'))

    assert ReferenceProfile.load(tmp_path) is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"text_length": np.zeros(3, np.float32)}, id="length"),
        pytest.param({"photo_features": np.zeros(3, np.float32)}, id="dimensions"),
        pytest.param({"words": (np.array([0, 5], np.int32), np.zeros(5, np.int32))}, id="starts"),
    ],
)
def test_a_damaged_profile_is_refused(profile: ReferenceProfile, tmp_path: Path, change: dict[str, object]) -> None:
    replace(profile, products=replace(profile.products, **change)).save(tmp_path)  # type: ignore[arg-type]

    with pytest.raises(BundleRefused, match=ARRAYS_FILE):
        ReferenceProfile.load(tmp_path)
