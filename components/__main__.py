"""Run one step without a cluster: `python -m components <step> --option …`."""

import argparse
import inspect
import pkgutil
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import components
from product_classifier.errors import ProductClassifierError


def main(argv: Sequence[str]) -> int:
    """Run the step the first word names with the options that follow; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m components", description=__doc__)
    parser.add_argument("step", choices=steps(), help="which step to run; its own --help lists its options")
    name = parser.parse_args(argv[:1]).step
    run: Callable[..., object] = _step(name).run
    options = vars(_options(name, run).parse_args(argv[1:]))
    try:
        result = run(**options)
    except ProductClassifierError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return 1
    sys.stdout.write(f"{result}\n")
    return 0


def steps() -> list[str]:
    """Return the names of all steps."""
    folder = Path(components.__path__[0])
    return sorted(
        module.name
        for module in pkgutil.iter_modules(components.__path__)
        if module.ispkg and (folder / module.name / "step.py").is_file()
    )


def _step(name: str) -> ModuleType:
    return import_module(f"components.{name}.step")


def _options(name: str, run: Callable[..., object]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m components {name}",
        description=inspect.getdoc(run),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for key, parameter in inspect.signature(run, eval_str=True).parameters.items():
        required = parameter.default is parameter.empty
        parser.add_argument(
            f"--{key.replace('_', '-')}",
            type=_reader(parameter.annotation),
            required=required,
            default=None if required else parameter.default,
            help="required" if required else f"default: {parameter.default}",
        )
    return parser


def _reader(annotation: Any) -> Callable[[str], object]:
    """Return what reads an option of this type; `Path | None` is read as a Path."""
    if annotation is bool:
        return _truth
    choices = [choice for choice in getattr(annotation, "__args__", ()) if choice is not type(None)]
    reader: Callable[[str], object] = choices[0] if choices else annotation
    return reader


def _truth(text: str) -> bool:
    try:
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[text.lower()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
