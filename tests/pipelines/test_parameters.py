from pathlib import Path

import pytest

from pipelines.parameters import ParameterError, fit, read_overrides, read_params


def test_sections_become_parameters_with_their_prefix(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(
        "seed: 3\ntrain_text: {penalty: 0.1, encoder: camembert-base, budget_s: 9}\n"
        "train_image:\n  size: 64\nsplit_catalogue: {share_test: 0.2}\n"
    )

    text = {"text_penalty": 0.1, "text_encoder": "camembert-base", "text_budget_s": 9}
    assert {"seed": 3, **text, "image_size": 64, "share_test": 0.2} == read_params(path)


def test_no_file_means_the_defaults_of_the_pipeline(tmp_path: Path) -> None:
    assert {} == read_params(tmp_path / "params.yaml")


@pytest.mark.parametrize("content", ["a: [", "- 1", "train_text: 5x", "\x00"])
def test_a_file_that_holds_something_else_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(content)

    with pytest.raises(ParameterError, match=r"params\.yaml"):
        read_params(path)


def test_overrides_are_read_as_yaml() -> None:
    expected = {"a": 1, "b": 0.5, "c": "camembert-base", "d": "", "e": True, "f": "x=y"}

    assert expected == read_overrides(["a=1", "b=0.5", "c=camembert-base", "d=", "e=true", "f=x=y"])


def test_an_override_without_a_value_is_named() -> None:
    with pytest.raises(ParameterError, match="'text_penalty'"):
        read_overrides(["text_penalty"])


def test_a_number_is_text_where_text_is_wanted() -> None:
    assert {"git_commit": "12345"} == fit({"git_commit": 12345}, {"git_commit": str})
