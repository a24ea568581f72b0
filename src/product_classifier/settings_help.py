"""Describe the environment variables of settings classes, for `--help` and docs/configuration.md."""

import argparse
import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", Path: "path", SecretStr: "secret"}
_BOUNDS = {"ge": "≥ {}", "gt": "> {}", "le": "≤ {}", "lt": "< {}"}
_LINE = 100

REQUIRED = "required"
"""Stands in place of a default where there is none."""


@dataclass(frozen=True)
class Variable:
    """One environment variable: its names (the preferred one first), type with range, default and meaning."""

    names: tuple[str, ...]
    type: str
    default: str
    description: str


COMMON = (
    Variable(("SECRETS_DIR",), "path", "", "Folder of files that are variables: name and value; variables override."),
    Variable(("LOG_FORMAT",), "json | text", "text", "Format of log lines: one JSON object, or key=value pairs."),
    Variable(("LOG_LEVEL",), "debug | info | warning | error", "info", "Least severe level that is logged."),
    Variable(
        ("OTEL_EXPORTER_OTLP_ENDPOINT",),
        "URL",
        "",
        "Collector of traces (OTLP over HTTP), empty for none; other `OTEL_*` are read too.",
    ),
    Variable(("OTEL_SERVICE_NAME",), "string", "", "`service.name` of the spans; by default the name of the service."),
)
"""Variables every process reads: the first through `read_settings`, the others through
`configure_logging` and `configure_tracing`."""


def variables(settings: type[BaseSettings]) -> list[Variable]:
    """Return the variables a settings class reads, in the order of its fields."""
    prefix = settings.model_config.get("env_prefix", "")
    return [
        Variable(_names(prefix, name, field), _type_of(field), _default_of(field), _description_of(field))
        for name, field in settings.model_fields.items()
    ]


def settings_epilog(*settings: type[BaseSettings], extra: tuple[Variable, ...] = ()) -> str:
    """Render the variables of the classes, `extra` ones and those of logging as the epilog of a parser."""
    listed = [*(one for each in settings for one in variables(each)), *extra, *COMMON]
    return "\n".join(["environment variables:", *(line for one in listed for line in _lines(one))])


def settings_parser(
    prog: str, description: str | None, *settings: type[BaseSettings], extra: tuple[Variable, ...] = ()
) -> argparse.ArgumentParser:
    """Return a parser whose `--help` lists the environment variables of the classes."""
    return argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=settings_epilog(*settings, extra=extra),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _lines(variable: Variable) -> Iterator[str]:
    default = {"": "", REQUIRED: ", required"}.get(variable.default, f", default {variable.default}")
    yield f"  {' or '.join(variable.names)} ({variable.type}{default})"
    yield from textwrap.wrap(variable.description, _LINE, initial_indent=" " * 6, subsequent_indent=" " * 6)


def _names(prefix: str, name: str, field: FieldInfo) -> tuple[str, ...]:
    match field.validation_alias:
        case str(alias):
            return (alias,)
        case AliasChoices(choices=choices):
            return tuple(str(choice) for choice in choices)
        case _:
            return (f"{prefix}{name}".upper(),)


def _type_of(field: FieldInfo) -> str:
    bounds = [
        text.format(getattr(rule, bound))
        for bound, text in _BOUNDS.items()
        for rule in field.metadata
        if getattr(rule, bound, None) is not None
    ]
    return ", ".join([_type_name(field.annotation), *bounds])


def _type_name(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " | ".join(str(argument) or "empty" for argument in arguments)
    if origin in {Union, UnionType}:
        return _type_name(next(argument for argument in arguments if argument is not NoneType))
    if origin is Annotated:
        return _type_name(arguments[0])
    if origin is tuple:
        return f"JSON list of {_type_name(arguments[0])}s"
    return _TYPES.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _default_of(field: FieldInfo) -> str:
    if field.is_required():
        return REQUIRED
    default = field.default
    if field.default_factory is not None or default is None or isinstance(default, SecretStr):
        return ""  # the description says what the default is
    if isinstance(default, tuple):
        return json.dumps(list(default))
    if isinstance(default, float) and default.is_integer():
        return str(int(default))
    return str(default).lower() if isinstance(default, bool) else str(default)


def _description_of(field: FieldInfo) -> str:
    return " ".join((field.description or "").split())
