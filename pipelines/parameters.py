"""Arguments of the pipelines: from params.yaml, the settings and the command line."""

import inspect
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from pipelines.settings import PARAMS, PipelineSettings
from product_classifier.errors import ProductClassifierError
from product_classifier.evaluation.gate import GateLimits

SECTIONS = {
    "prepare_catalogue": "",
    "split_catalogue": "",
    "train_text": "text_",
    "train_image": "image_",
    "fit_fusion": "",
    "find_suspects": "suspects_",
    "compare": "gate_",
    "promote": "",
}
"""Section of params.yaml to the prefix of its pipeline parameters; other sections do not concern the pipeline."""

RENAMED: dict[str, str] = {
    "fresh": "cache_buster",
    "text_penalty": "text_C",
    "image_encoder": "image_backbone",
}
"""Former name of a pipeline parameter to its name; the former one is accepted with a `DeprecationWarning`."""


class ParameterError(ProductClassifierError):
    """A pipeline parameter is unknown, given twice, or has a value of another type than declared."""


def read_params(path: Path = PARAMS) -> dict[str, Any]:
    """Return the values of params.yaml by their parameter name; none if the file does not exist."""
    values = _read_yaml(path)
    found = {"seed": values["seed"]} if "seed" in values else {}
    for section, prefix in SECTIONS.items():
        given = {f"{prefix}{name}": value for name, value in (values.get(section) or {}).items()}
        found |= replace_former_names(given, f"{path}, section {section}")
    return found


def read_section(step: str, path: Path = PARAMS) -> dict[str, Any]:
    """Return the section of one step as it stands in params.yaml."""
    return dict(_read_yaml(path).get(step) or {})


def step_parameters(step: str, path: Path = PARAMS) -> dict[str, Any]:
    """Return the parameters of a step that have a default: from params.yaml, else the default.

    Raises:
        ParameterError: If a value in params.yaml has another type than the default.
    """
    signature = inspect.signature(import_module(f"components.{step}.step").run)
    defaults = {name: one.default for name, one in signature.parameters.items() if one.default is not one.empty}
    section = read_section(step, path)
    return cast_arguments(
        {name: section.get(name, default) for name, default in defaults.items()},
        {name: type(default) for name, default in defaults.items()},
    )


def gate_limits(path: Path = PARAMS) -> GateLimits:
    """Return the limits of the gate, see `step_parameters`."""
    found = step_parameters("compare", path)
    return GateLimits(**{one.name: found[one.name] for one in fields(GateLimits) if one.name in found})


def read_overrides(pairs: Sequence[str]) -> dict[str, Any]:
    """Parse `NAME=VALUE` options; each value is parsed as YAML."""
    found = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator:
            raise ParameterError(f"--set: {pair!r} has no '='; write NAME=VALUE")
        found[name] = yaml.safe_load(value) if value else ""
    return replace_former_names(found, "--set")


def run_options(run_id: str, snapshot: str) -> list[str]:
    """Return the options of `python -m pipelines train` that make it the given run of the trigger."""
    given = {"run_id": run_id, "snapshot": snapshot}
    return [word for name, value in given.items() for word in ("--set", f"{name}={json.dumps(value)}")]


def training_arguments(
    settings: PipelineSettings, raw: str, params: Path = PARAMS, layout: Path | None = None
) -> dict[str, Any]:
    """Return the values of params.yaml, the text of a layout file and the locations from the settings."""
    return {
        **read_params(params),
        "raw": raw,
        "layout": _read_layout(layout),
        "store": settings.store,
        "tracking_uri": settings.tracking,
        "experiment": settings.experiment,
        "rollout": settings.rollout,
        "service": settings.service_url,
        "git_commit": settings.commit,
    }


def replace_former_names(arguments: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return the arguments under their present names, with a `DeprecationWarning` for each former one.

    Raises:
        ParameterError: If a parameter is given under both names.
    """
    found: dict[str, Any] = {}
    for name, value in arguments.items():
        present = RENAMED.get(name, name)
        if present != name:
            if present in arguments:
                raise ParameterError(
                    f"{source}: {name} is the former name of {present}, which is given too; drop {name}"
                )
            warnings.warn(f"{source}: {name} is now {present}; rename it", DeprecationWarning, stacklevel=2)
        found[present] = value
    return found


def cast_arguments(arguments: Mapping[str, Any], declared: Mapping[str, type]) -> dict[str, Any]:
    """Return the arguments with the declared types; KFP does not accept 2 for a parameter of type float.

    Raises:
        ParameterError: If a parameter is not declared or a value cannot be converted without loss.
    """
    found: dict[str, Any] = {}
    for name, value in arguments.items():
        if name not in declared:
            accepted = ", ".join(sorted(declared))
            raise ParameterError(f"the pipeline has no parameter {name!r}; use one of {accepted}")
        kind = declared[name]
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            found[name] = float(value)
        elif kind is str and isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = str(value)
        elif isinstance(value, bool) is (kind is bool) and isinstance(value, kind):
            found[name] = value
        else:
            raise ParameterError(f"parameter {name}: {value!r:.80} is not of type {kind.__name__}; change the value")
    return found


def _read_layout(path: Path | None) -> str:
    """Return the text of a layout file; empty without one, if `catalogue.yaml` lies beside the files."""
    try:
        return "" if path is None else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(
            f"CATALOGUE={str(path)!r}: cannot be read: {error}; correct the path or the file"
        ) from error


def _read_yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = str(error).replace("\n", " ")[:200]
        raise ParameterError(f"{path}: not valid YAML: {reason}; correct the file") from error
    if not isinstance(values, dict) or any(isinstance(values.get(name), str | list) for name in SECTIONS):
        raise ParameterError(f"{path}: not a mapping of sections to values; see params.yaml of the repository")
    return values
