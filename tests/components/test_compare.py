import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from components.compare import step
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import BundleRefused, ObjectNotFound
from product_classifier.releases.release import load_text
from tests.support.promotions import Stage, slow_release
from tests.support.tiny_release import make_release

RIGHT, WRONG = 1, 2
PRODUCTS = 270
TITLES = [f"un produit numero {number} de la collection {number % 7}" for number in range(PRODUCTS)]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(tmp_path_factory.mktemp("compare"))


@pytest.fixture(scope="module")
def releases(stage: Stage) -> dict[int, str]:
    """One release that predicts every product of `test` correctly, and one that does not."""
    return {seed: stage.publish(seed) for seed in (RIGHT, WRONG)}


@pytest.fixture(scope="module")
def test(stage: Stage, releases: dict[int, str]) -> Path:
    model, _ = load_text(make_release(stage.root / "oracle", RIGHT).path / "text")
    answers = model.probabilities(TITLES, [""] * PRODUCTS).argmax(axis=1)
    names = ["product_id", "designation", "description", "image_path", "image_sha256", "code"]
    rows = [(n, title, "", "", "", CHALLENGE.codes[answers[n]]) for n, title in enumerate(TITLES)]
    pd.DataFrame(rows, columns=names).to_parquet(stage.root / "test.parquet")
    return stage.root / "test.parquet"


def compare(stage: Stage, test: Path, release: str, champion: str | None, **limits: Any) -> dict[str, Any]:
    pointer = stage.root / "releases" / "champion"
    pointer.unlink(missing_ok=True)
    if champion:
        stage.rollout.switch(champion)
    decision, report = stage.root / "decision.json", stage.root / "report.html"
    passed = step.run(
        release, test, stage.root, decision, report, stage.url, stage.rollout_url, resamples=200, **limits
    )
    found: dict[str, Any] = json.loads(decision.read_text())
    assert passed == found["promote"]
    assert all(reason.split(":")[0] in report.read_text() for reason in found["reasons"])
    return found


def test_the_first_release_passes(stage: Stage, releases: dict[int, str], test: Path) -> None:
    found = compare(stage, test, releases[WRONG], None)

    assert (True, None, None) == (found["promote"], found["champion"], found["before"])


def test_a_better_release_passes_with_both_scores(stage: Stage, releases: dict[int, str], test: Path) -> None:
    found = compare(stage, test, releases[RIGHT], releases[WRONG])

    assert (True, 1.0, 1.0) == (found["promote"], found["confidence"], found["after"]["weighted_f1"])
    assert found["before"]["weighted_f1"] < 0.2
    assert PRODUCTS == sum(one["items"] for one in found["before"]["by_category"].values())


def test_a_worse_release_is_rejected(stage: Stage, releases: dict[int, str], test: Path) -> None:
    found = compare(stage, test, releases[WRONG], releases[RIGHT])

    assert not found["promote"]
    assert "at least +0.0020" in found["reasons"][0]
    assert any("collapses" in reason for reason in found["reasons"])


def test_a_tie_is_rejected(stage: Stage, releases: dict[int, str], test: Path) -> None:
    found = compare(stage, test, releases[RIGHT], releases[RIGHT])

    assert (False, 0.0) == (found["promote"], found["confidence"])


def test_no_release_replaces_a_lost_champion(stage: Stage, releases: dict[int, str], test: Path) -> None:
    lost = stage.publish(3)
    stage.rollout.switch(lost)
    stage.store.delete(f"models/{lost}/release.json")

    found = compare(stage, test, releases[RIGHT], lost)

    assert (False, lost) == (found["promote"], found["champion"])
    assert "cannot be evaluated" in found["reasons"][0]


def test_an_unpublished_release_is_named(stage: Stage, test: Path) -> None:
    with pytest.raises(ObjectNotFound, match="r-20200101T000000-00000000"):
        compare(stage, test, "r-20200101T000000-00000000", None)


def test_a_release_ten_times_slower_is_rejected(stage: Stage, releases: dict[int, str], test: Path) -> None:
    found = compare(stage, test, stage.publish(RIGHT, slow_release), releases[WRONG], slow_ms=1.0)

    assert (False, 1) == (found["promote"], len(found["reasons"]))
    assert "times as long" in found["reasons"][0]


def test_a_damaged_release_is_refused_before_the_comparison(stage: Stage, releases: dict[int, str], test: Path) -> None:
    release = stage.publish(20)
    stage.tamper(release, "text/weights.npz", lambda data: data[:-1] + b"x")

    with pytest.raises(BundleRefused):
        compare(stage, test, release, releases[WRONG])
