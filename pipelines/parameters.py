"""From params.yaml to the arguments of the pipeline."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pipelines.settings import Settings
from product_classifier.errors import ProductClassifierError

PARAMS = Path("params.yaml")
SECTIONS = {
    "prepare_catalogue": "",
    "split_catalogue": "",
    "train_text": "text_",
    "train_image": "image_",
    "compare": "gate_",
    "promote": "",
}
"""Section of params.yaml to the prefix its numbers have as parameters of the pipeline; other sections are not its."""


class ParameterError(ProductClassifierError):
    """A parameter is not known, or its value is not what it must be."""


def read_params(path: Path = PARAMS) -> dict[str, Any]:
    """Return the numbers of the file under the names the pipeline has for them; none if there is no file."""
    values = _read(path)
    found = {"seed": values["seed"]} if "seed" in values else {}
    for section, prefix in SECTIONS.items():
        found |= {f"{prefix}{name}": value for name, value in (values.get(section) or {}).items()}
    return found


def training_arguments(settings: Settings, raw: str, params: Path = PARAMS) -> dict[str, Any]:
    """Return the numbers of the file, and where this deployment reads and writes."""
    return {
        **read_params(params),
        "raw": raw,
        "store": settings.store,
        "tracking_uri": settings.tracking,
        "experiment": settings.experiment,
        "rollout": settings.rollout,
        "service": settings.service_url,
        "git_commit": settings.commit,
    }


def read_section(step: str, path: Path = PARAMS) -> dict[str, Any]:
    """Return the numbers of one step."""
    return dict(_read(path).get(step) or {})


def read_overrides(pairs: Sequence[str]) -> dict[str, Any]:
    """Read `name=value` from the command line; the value is written as in YAML."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise ParameterError(f"{pair!r} is not name=value")
        found[name] = yaml.safe_load(value) if value else ""
    return found


def fit(arguments: Mapping[str, Any], declared: Mapping[str, type]) -> dict[str, Any]:
    """Give each argument the type its parameter declares: the pipeline takes no 2 where it wants 2.0."""
    fitted: dict[str, Any] = {}
    for name, value in arguments.items():
        if name not in declared:
            raise ParameterError(f"the pipeline has no parameter {name!r}; it has {', '.join(sorted(declared))}")
        kind = declared[name]
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            fitted[name] = float(value)
        elif kind is str and isinstance(value, int | float) and not isinstance(value, bool):
            fitted[name] = str(value)
        elif isinstance(value, bool) is (kind is bool) and isinstance(value, kind):
            fitted[name] = value
        else:
            raise ParameterError(f"parameter {name} must be {kind.__name__}, not {value!r:.80}")
    return fitted


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path} is not YAML: {str(error).replace(chr(10), ' ')[:200]}") from error
    if not isinstance(values, dict) or any(isinstance(values.get(name), str | list) for name in SECTIONS):
        raise ParameterError(f"{path} does not hold sections of numbers")
    return values
