"""The quality report: calibration baseline, paired errors, cross-validation and the peer."""

import json
from pathlib import Path

import numpy as np
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


@pytest.mark.slow
def test_every_model_and_the_peer_are_evaluated_on_the_same_products(
    sample_raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--repeats", "1", "--folds", "2", "--image-size", "32", "--share-test", "0.3"]
    assert 0 == quality.main([str(sample_raw), *options, "--json", str(tmp_path / "found.json")])

    held_out, crossed = json.loads((tmp_path / "found.json").read_text()).values()
    lines = {line["model"]: line for line in held_out}
    assert lines[quality.PEER]["items"] == lines["text"]["items"] > 100
    assert {lines[f"{kind}, where both"]["items"] for kind in ("text", "image", "fusion")} == {
        lines["text, where both"]["items"]
    }
    by_model = {line["model"]: line for line in crossed}
    assert [quality.PEER] == [name for name, line in by_model.items() if line["ece"] is None]
    assert by_model[quality.PEER]["items"] == by_model["text"]["items"] > 500
    assert all(0 < line["standard_error"] < 0.1 for line in crossed)
    assert {f"text{quality.ABLATIONS['text_of_train']}", f"fusion{quality.ABLATIONS['fusion_of_validation']}"} < set(
        by_model
    )
    assert "weighted_f1" in capsys.readouterr().out


def test_the_former_name_of_an_option_is_accepted_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="--penalty is now --C; rename it"):
        options = quality._parse(["raw", "--penalty", "0.5"])

    assert options.C == 0.5
