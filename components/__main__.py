"""Run one step without a pipeline: `python -m components <step> --option …`."""

import argparse
import inspect
import json
import pkgutil
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_origin

import components
from product_classifier.command_line import add_former_option, show_deprecations
from product_classifier.errors import ProductClassifierError, TaxonomyError
from product_classifier.taxonomy import Taxonomy
from product_classifier.taxonomy.folder import read_taxonomy

RESULTS = {"train_text": "text", "train_image": "image", "fit_fusion": "fusion"}
"""Step to the model whose out-of-fold F1 it returns; `--result` writes it for DVC."""
FORMER = {("train_text", "C"): "--penalty", ("train_image", "backbone"): "--encoder"}
"""Step and parameter to the former name of its option, which is accepted with a `DeprecationWarning`."""


def main(argv: Sequence[str]) -> int:
    """Run the named step with the options that follow; return the exit status."""
    show_deprecations()
    parser = argparse.ArgumentParser(prog="python -m components", description=__doc__)
    parser.add_argument("step", choices=steps(), help="step to run; its --help lists its options")
    name = parser.parse_args(argv[:1]).step
    run: Callable[..., object] = import_module(f"components.{name}.step").run
    parameters = inspect.signature(run, eval_str=True).parameters
    arguments = vars(_parser(name, inspect.getdoc(run), parameters).parse_args(argv[1:]))
    result_file: Path | None = arguments.pop("result", None)
    try:
        result = run(**arguments)
    except ProductClassifierError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return 1
    sys.stdout.write(f"{result}\n")
    if result_file is not None:
        result_file.parent.mkdir(parents=True, exist_ok=True)
        result_file.write_text(
            json.dumps({RESULTS[name]: {"out_of_fold_weighted_f1": result}}, indent=1) + "\n", encoding="utf-8"
        )
    return 0


def steps() -> list[str]:
    """Return the names of all steps."""
    folder = Path(components.__path__[0])
    return sorted(
        module.name
        for module in pkgutil.iter_modules(components.__path__)
        if module.ispkg and (folder / module.name / "step.py").is_file()
    )


def _parser(name: str, description: str | None, parameters: Mapping[str, inspect.Parameter]) -> argparse.ArgumentParser:
    """Return a parser with an option for each parameter of a step."""
    parser = argparse.ArgumentParser(
        prog=f"python -m components {name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for key, parameter in parameters.items():
        required = parameter.default is parameter.empty
        parser.add_argument(
            f"--{key.replace('_', '-')}",
            type=_converter(parameter.annotation),
            required=required,
            default=None if required else parameter.default,
            help="required" if required else f"default: {parameter.default}",
        )
        if (former := FORMER.get((name, key))) is not None:
            add_former_option(parser, former, dest=key, type=_converter(parameter.annotation))
    if name in RESULTS:
        parser.add_argument("--result", type=Path, help="JSON file for the result; default: none")
    return parser


def _converter(annotation: Any) -> Callable[[str], object]:
    """Return the conversion of an option's text; that of `Path | None` is Path."""
    if annotation is bool:
        return _boolean
    if annotation is Taxonomy:
        return _taxonomy
    if get_origin(annotation) is Literal:
        return str
    choices = [choice for choice in getattr(annotation, "__args__", ()) if choice is not type(None)]
    converter: Callable[[str], object] = choices[0] if choices else annotation
    return converter


def _taxonomy(folder: str) -> Taxonomy:
    """Return the taxonomy in a folder, for example `data/taxonomy`."""
    try:
        return read_taxonomy(Path(folder))
    except TaxonomyError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _boolean(text: str) -> bool:
    try:
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[text.lower()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
