from pathlib import Path
from typing import Any

import pytest

from pipelines.compile import compile_training, declared_parameters
from pipelines.parameters import RENAMED, ParameterError, cast_arguments, read_overrides, read_params, run_options

ROOT = Path(__file__).parents[2]
PREVIOUS_VERSION = Path(__file__).parent / "previous_version"


def test_sections_become_parameters_with_their_prefix(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(
        "seed: 3\ntrain_text: {buckets: 9, encoder: camembert-base, budget_s: 9}\n"
        "train_image:\n  size: 64\nsplit_catalogue: {share_test: 0.2}\n"
    )

    text = {"text_buckets": 9, "text_encoder": "camembert-base", "text_budget_s": 9}
    assert {"seed": 3, **text, "image_size": 64, "share_test": 0.2} == read_params(path)


def test_without_a_file_the_defaults_of_the_pipeline_apply(tmp_path: Path) -> None:
    assert {} == read_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("content", ["a: [", "- 1", "train_text: 5x", "\x00"])
def test_a_file_of_another_form_is_reported_with_its_path(tmp_path: Path, content: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(content)

    with pytest.raises(ParameterError, match=r"params\.yaml"):
        read_params(path)


def test_overrides_are_parsed_as_yaml() -> None:
    expected = {"a": 1, "b": 0.5, "c": "camembert-base", "d": "", "e": True, "f": "x=y"}

    assert expected == read_overrides(["a=1", "b=0.5", "c=camembert-base", "d=", "e=true", "f=x=y"])


def test_the_options_of_a_run_are_overrides_that_keep_their_type() -> None:
    _, run_id, _, snapshot = run_options("retrain-000001-0123456789ab", "0" * 64)

    assert {"run_id": "retrain-000001-0123456789ab", "snapshot": "0" * 64} == read_overrides([run_id, snapshot])


def test_an_override_without_a_value_is_reported() -> None:
    with pytest.raises(ParameterError, match="'image_size'"):
        read_overrides(["image_size"])


def test_the_parameters_file_of_the_previous_version_is_accepted_with_a_warning() -> None:
    present = read_params(ROOT / "params.yaml")

    with pytest.warns(DeprecationWarning, match=r"params\.yaml, section train_text: text_penalty is now text_C"):
        previous = read_params(PREVIOUS_VERSION / "params.yaml")

    assert previous.keys() <= present.keys()
    assert 1.0 == previous["text_C"]


def test_overrides_of_the_previous_version_are_accepted_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="is now") as warned:
        overrides = read_overrides(["fresh=again", "text_penalty=0.5"])

    assert {"cache_buster": "again", "text_C": 0.5} == overrides
    messages = ["--set: fresh is now cache_buster; rename it", "--set: text_penalty is now text_C; rename it"]
    assert messages == [str(one.message) for one in warned]


def test_an_override_by_a_former_name_wins_over_the_parameters_file(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("train_text: {C: 2.0}")

    with pytest.warns(DeprecationWarning, match="is now"):
        assert {"text_C": 0.5} == read_params(path) | read_overrides(["text_penalty=0.5"])


def test_a_parameter_given_under_both_names_is_an_error_that_has_both(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("train_text: {penalty: 1, C: 1}")

    with pytest.raises(
        ParameterError, match=r"params\.yaml, section train_text: text_penalty is the former name of text_C"
    ):
        read_params(path)
    with pytest.raises(ParameterError, match="--set: fresh is the former name of cache_buster"):
        read_overrides(["cache_buster=1", "fresh=2"])


def test_no_former_name_is_a_parameter_of_the_pipeline(tmp_path: Path) -> None:
    declared = declared_parameters(compile_training(tmp_path / "training.yaml"))

    assert set(RENAMED.values()) <= declared.keys()
    assert set() == declared.keys() & RENAMED.keys()


@pytest.mark.parametrize(
    ("value", "kind", "expected"), [(12345, str, "12345"), (0.5, str, "0.5"), (2, float, 2.0), (True, bool, True)]
)
def test_a_value_is_converted_to_the_declared_type(value: Any, kind: type, expected: Any) -> None:
    found = cast_arguments({"name": value}, {"name": kind})["name"]

    assert (expected, kind) == (found, type(found))
