"""No module has categories of the challenge: they are data of one catalogue, in one package."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from product_classifier.catalogue.challenge import CHALLENGE

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "components", "pipelines", "inference", "operations")
CHALLENGE_FOLDER = ROOT / "src" / "product_classifier" / "catalogue" / "challenge"
COUNT = len(CHALLENGE)
LONG_CODES = {code for code in CHALLENGE.codes if len(code) > 2}
"""Codes that are no ordinary number; of the others, two in one list are found."""
LABELS = {label.lower() for category in CHALLENGE for label in category.labels.values()}
WORDS = re.compile("|".join(rf"(?<!\w){re.escape(label)}(?!\w)" for label in sorted(LABELS)))
COUNTED = re.compile(rf"(?<![\w.]){COUNT} (?:categories|classes|codes)", re.IGNORECASE)
NUMBERS = re.compile(r"(?<![\w.])\d{3,}(?![\w.])")
OTHER_NUMBERS = {("efficientnet_lite0.py", "1280")}
"""The number of channels of a published network's last layer."""
SEEDS = re.compile(r"seed|rng|random", re.IGNORECASE)


def findings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Return line and text of each literal with a code, the number of codes or a label of the challenge."""
    seeds = {id(node) for parent in ast.walk(tree) for node in _seeds(parent)}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)):
                codes = [number for number in NUMBERS.findall(text) if number in LONG_CODES]
                for found in (*codes, *WORDS.findall(text.lower()), *COUNTED.findall(text)):
                    yield node.lineno, found
            case ast.Constant(value=int(number)) if not isinstance(number, bool):
                if str(number) in LONG_CODES or (number == COUNT and id(node) not in seeds):
                    yield node.lineno, str(number)
            case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements) | ast.Dict(keys=elements):
                codes = [str(one.value) for one in elements if isinstance(one, ast.Constant)]
                if len(known := [code for code in codes if code in CHALLENGE.codes]) > 1:
                    yield node.lineno, ", ".join(known)


def _seeds(node: ast.AST) -> Iterator[ast.AST]:
    """Return the literals that a node uses as a seed, which may be any number."""
    match node:
        case (
            ast.keyword(arg=str(name), value=value) | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
        ):
            if SEEDS.search(name):
                yield from ast.walk(value)
        case ast.arguments():
            named = [*node.posonlyargs, *node.args]
            defaults = [*zip(named[len(named) - len(node.defaults) :], node.defaults, strict=True)]
            for argument, default in (*defaults, *zip(node.kwonlyargs, node.kw_defaults, strict=True)):
                if SEEDS.search(argument.arg) and default is not None:
                    yield default
        case ast.Call(func=function, args=arguments) if SEEDS.search(ast.unparse(node)):
            if "default_rng" in ast.unparse(function) or any(_is_seed_name(one) for one in arguments):
                yield from arguments


def _is_seed_name(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == "seed"


MODULES = [
    path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py") if not path.is_relative_to(CHALLENGE_FOLDER)
]


def test_no_module_has_a_code_a_label_or_the_number_of_categories_of_the_challenge() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in MODULES
        for line, text in findings(ast.parse(path.read_text(encoding="utf-8")))
        if (path.name, text) not in OTHER_NUMBERS
    ]

    assert [] == found


def test_no_page_or_script_has_a_label_of_the_challenge() -> None:
    files = [
        path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in {".html", ".js", ".css"}
    ]
    found = [f"{path.relative_to(ROOT)}: {text}" for path in files for text in WORDS.findall(path.read_text().lower())]

    assert files
    assert [] == found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (f"LAST = {CHALLENGE.codes[-1]}", 1),
        (f"LAST = '{CHALLENGE.codes[-1]}'", 1),
        (f"FIRST = [{CHALLENGE.codes[0]}, {CHALLENGE.codes[1]}]", 1),
        (f"TABLE = {{'{CHALLENGE.codes[0]}': 1, '{CHALLENGE.codes[1]}': 2}}", 1),
        (f"shape = (0, {COUNT})", 1),
        (f"'''Return one of {COUNT} categories.'''", 1),
        (f"label = {CHALLENGE.label(CHALLENGE.codes[0])!r}", 1),
        (f"def fit(width, seed={COUNT}): return default_rng({COUNT})", 0),
        (f"seed: int = Field(default={COUNT}, ge=0)", 0),
        (f"TIMEOUT_S = {CHALLENGE.codes[0]}", 0),
    ],
)
def test_the_literals_that_are_found(source: str, found: int) -> None:
    assert found == len(list(findings(ast.parse(source))))
