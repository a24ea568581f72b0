"""What `--help` and docs/configuration.md show of a settings class."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import AfterValidator, AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from product_classifier.settings_help import Variable, settings_epilog, settings_parser, variables


class Sample(BaseSettings):
    """Settings with a field of every kind."""

    model_config = SettingsConfigDict(env_prefix="SAMPLE_", use_attribute_docstrings=True)

    port: int = Field(default=8080, ge=1, le=65535)
    """Port to listen on."""
    pause_s: float = Field(default=600.0, gt=0, validation_alias="PAUSE")
    """Seconds between two runs."""
    issuer: Annotated[str, AfterValidator(str.strip)] | None = Field(
        default=None, validation_alias=AliasChoices("SAMPLE_ISSUER", "ISSUER")
    )
    """External issuer."""
    token: SecretStr
    """Shared secret."""
    folder: Path = Path(".run")
    """Folder of
    the state."""
    types: tuple[str, ...] = ("jwt",)
    """Accepted types."""
    half: Literal["", "a"] = ""
    """Half of the products."""
    tag: str = Field(default_factory=lambda: "computed")
    """Tag; the commit by default."""
    collocated: bool = False
    """One process."""


EXPECTED = [
    Variable(("SAMPLE_PORT",), "integer, ≥ 1, ≤ 65535", "8080", "Port to listen on."),
    Variable(("PAUSE",), "number, > 0", "600", "Seconds between two runs."),
    Variable(("SAMPLE_ISSUER", "ISSUER"), "string", "", "External issuer."),
    Variable(("SAMPLE_TOKEN",), "secret", "required", "Shared secret."),
    Variable(("SAMPLE_FOLDER",), "path", ".run", "Folder of the state."),
    Variable(("SAMPLE_TYPES",), "JSON list of strings", '["jwt"]', "Accepted types."),
    Variable(("SAMPLE_HALF",), "empty | a", "", "Half of the products."),
    Variable(("SAMPLE_TAG",), "string", "", "Tag; the commit by default."),
    Variable(("SAMPLE_COLLOCATED",), "boolean", "false", "One process."),
]


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda variable: variable.names[0])
def test_a_field_is_described_by_name_type_default_and_docstring(expected: Variable) -> None:
    assert [expected] == [found for found in variables(Sample) if found.names == expected.names]


def test_the_epilog_lists_fields_then_extra_variables_then_the_common_ones() -> None:
    extra = Variable(("RELEASE",), "string", "", "Release to serve.")
    lines = settings_epilog(Sample, extra=(extra,)).splitlines()

    assert "environment variables:" == lines[0]
    assert "  SAMPLE_PORT (integer, ≥ 1, ≤ 65535, default 8080)" == lines[1]
    assert "      Port to listen on." == lines[2]
    common = ["SECRETS_DIR", "LOG_FORMAT", "LOG_LEVEL", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SERVICE_NAME"]
    assert ["RELEASE", *common] == [line.split()[0] for line in lines[-12::2]]


def test_help_shows_the_epilog_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        settings_parser("program", "What it does.", Sample).parse_args(["--help"])

    assert "  SAMPLE_TOKEN (secret, required)\n      Shared secret.\n" in capsys.readouterr().out
