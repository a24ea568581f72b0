"""The quality report: calibration baseline, paired errors, grouped folds and the peer."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import quality
from product_classifier.evaluation.scores import score


def test_expected_error_equals_the_mean_ece_of_calibrated_probabilities() -> None:
    random = np.random.default_rng(1)
    probabilities = random.dirichlet(np.full(27, 0.1), 300).astype(np.float32)
    cumulative = probabilities.astype(np.float64).cumsum(axis=1)
    measured = []
    for _ in range(40):
        labels = np.minimum((cumulative < random.random((300, 1))).sum(axis=1), 26)
        measured.append(score(probabilities, labels).ece)

    assert quality.expected_error(probabilities) == pytest.approx(np.mean(measured), rel=0.15)
    assert quality.expected_error(probabilities) > quality.expected_error(np.tile(probabilities, (9, 1)))


def test_paired_returns_the_difference_and_its_standard_error() -> None:
    labels = np.arange(400) % 27
    right = np.eye(27)[labels]
    worse = right.copy()
    worse[::10] = np.roll(worse[::10], 1, axis=1)

    assert (0.0, 0.0) == quality.paired(right, right, labels)
    mean, error = quality.paired(right, worse, labels)
    assert mean == pytest.approx(0.1, abs=0.02)
    assert error == pytest.approx(np.sqrt(0.1 * 0.9 / 400), rel=0.2)


def test_near_duplicates_stay_in_one_fold() -> None:
    titles = [f"une chaise en bois numéro {row // 2}" for row in range(80)]
    products = pd.DataFrame(
        {"designation": titles, "description": "", "code": [10 if row % 4 < 2 else 40 for row in range(80)]}
    )
    texts = quality.read_texts(products)

    parts = list(quality._parts(texts, repeats=2, folds=4))
    assert 8 == len(parts)
    for train_rows, test_rows in parts:
        assert not {texts.groups[row] for row in train_rows} & {texts.groups[row] for row in test_rows}
        assert 80 == len(train_rows) + len(test_rows)


@pytest.mark.slow
def test_every_model_and_the_peer_are_evaluated_on_the_same_products(
    sample_raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--repeats", "1", "--folds", "2", "--image-budget-s", "1", "--share-test", "0.3"]
    assert 0 == quality.main([str(sample_raw), *options, "--json", str(tmp_path / "found.json")])

    held_out, crossed = json.loads((tmp_path / "found.json").read_text()).values()
    lines = {line["model"]: line for line in held_out}
    assert lines[quality.PEER]["items"] == lines["text"]["items"] > 100
    assert {lines[f"{kind}, where both"]["items"] for kind in ("text", "image", "fusion")} == {
        lines["text, where both"]["items"]
    }
    assert [True, False] == [line["ece"] is not None for line in crossed]
    assert crossed[0]["items"] == crossed[1]["items"] > 500
    assert all(0.4 < line["weighted_f1"] < 1 for line in crossed)
    assert "weighted_f1" in capsys.readouterr().out


def test_the_former_name_of_an_option_is_accepted_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="--penalty is now --C; rename it"):
        options = quality._parse(["raw", "--penalty", "0.5"])

    assert options.C == 0.5
