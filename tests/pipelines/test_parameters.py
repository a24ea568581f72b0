from pathlib import Path
from typing import Any

import pytest

from pipelines import parameters
from pipelines.parameters import ParameterError, cast_arguments, read_overrides, read_params, run_options


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


@pytest.fixture
def renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameters, "RENAMED", {"text_old": "text_new", "old": "new"})


@pytest.mark.usefixtures("renamed")
def test_former_names_are_accepted_with_a_warning_that_has_both_names(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("train_text: {old: 1}")

    with pytest.warns(DeprecationWarning, match=r"params\.yaml: text_old is now text_new"):
        assert {"text_new": 1} == read_params(path)
    with pytest.warns(DeprecationWarning, match="--set: old is now new"):
        assert {"new": "x"} == read_overrides(["old=x"])


@pytest.mark.usefixtures("renamed")
def test_a_parameter_given_under_both_names_is_an_error_that_has_both(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("train_text: {old: 1, new: 1}")

    with pytest.raises(ParameterError, match=r"params\.yaml: text_old is the former name of text_new"):
        read_params(path)
    with pytest.raises(ParameterError, match="--set: old is the former name of new"):
        read_overrides(["new=1", "old=2"])


@pytest.mark.parametrize(
    ("value", "kind", "expected"), [(12345, str, "12345"), (0.5, str, "0.5"), (2, float, 2.0), (True, bool, True)]
)
def test_a_value_is_converted_to_the_declared_type(value: Any, kind: type, expected: Any) -> None:
    found = cast_arguments({"name": value}, {"name": kind})["name"]

    assert (expected, kind) == (found, type(found))
