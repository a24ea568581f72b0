"""Invalid environment variables become one message that names them and no secret."""

from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from product_classifier.errors import InvalidSettings
from product_classifier.settings_reader import read_settings


class Example(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="EXAMPLE_")

    port: int = Field(default=80, ge=1, le=65535)
    mode: Literal["fast", "safe"] = "fast"
    hosts: tuple[str, ...] = ()
    token: SecretStr = Field(default=SecretStr("x" * 8), min_length=8)
    password: str = Field(default="a", pattern="^[a-z]+$")
    name: str = Field(default="a", pattern="^[a-z]+$")
    url: str = Field(default="", validation_alias="OTHER_URL", max_length=20)


def _message(monkeypatch: pytest.MonkeyPatch, **environment: str) -> str:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettings) as caught:
        read_settings(Example)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("EXAMPLE_PORT", "http", "EXAMPLE_PORT: must be an integer, not 'http'"),
        ("EXAMPLE_PORT", "0", "EXAMPLE_PORT: must be at least 1, not '0'"),
        ("EXAMPLE_MODE", "slow", "EXAMPLE_MODE: must be 'fast' or 'safe', not 'slow'"),
        ("EXAMPLE_HOSTS", "a.example", 'EXAMPLE_HOSTS: \'a.example\' is not JSON; write it as ["a", "b"]'),
        ("example_hosts", "a,b", 'example_hosts: \'a,b\' is not JSON; write it as ["a", "b"]'),
        ("EXAMPLE_HOSTS", '{"a": 1}', "EXAMPLE_HOSTS: must be a list, not an object"),
        ("EXAMPLE_TOKEN", "hunter2", "EXAMPLE_TOKEN: has 7 entries; at least 8 are required"),
        ("EXAMPLE_PASSWORD", "S3CRET", "EXAMPLE_PASSWORD: must match ^[a-z]+$"),
        ("EXAMPLE_NAME", "http://u:S3CRET@host", "EXAMPLE_NAME: must match ^[a-z]+$"),
        ("EXAMPLE_NAME", "S3CRET", "EXAMPLE_NAME: must match ^[a-z]+$, not 'S3CRET'"),
        ("OTHER_URL", "x" * 21, "OTHER_URL: has 21 characters; at most 20 are accepted"),
    ],
)
def test_a_message_names_the_variable(monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str) -> None:
    assert message == _message(monkeypatch, **{name: value})


def test_every_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    message = _message(monkeypatch, EXAMPLE_PORT="x", EXAMPLE_MODE="x")

    assert "EXAMPLE_PORT: must be an integer, not 'x'; EXAMPLE_MODE: must be 'fast' or 'safe', not 'x'" == message


def test_values_given_beside_the_environment_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAMPLE_PORT", "81")

    assert (81, 82) == (read_settings(Example).port, read_settings(Example, port=82).port)


def test_the_error_is_none_of_the_library() -> None:
    assert not issubclass(InvalidSettings, ValidationError)


def test_files_of_the_secrets_folder_are_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "EXAMPLE_TOKEN").write_text("from a file")
    (tmp_path / "OTHER_URL").write_text("http://file")
    (tmp_path / "EXAMPLE_PORT").write_text("81")
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("EXAMPLE_PORT", "82")

    settings = read_settings(Example)
    assert ("from a file", "http://file", 82) == (settings.token.get_secret_value(), settings.url, settings.port)


def test_a_missing_secrets_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRETS_DIR", "absent")

    with pytest.raises(InvalidSettings, match="SECRETS_DIR: 'absent' is no folder; name one"):
        read_settings(Example)


def test_an_error_does_not_quote_a_secret_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "EXAMPLE_TOKEN").write_text("short")
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))

    with pytest.raises(InvalidSettings) as caught:
        read_settings(Example)
    assert "short" not in str(caught.value)
