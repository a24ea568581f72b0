"""Check names and docstrings against docs/glossary.md: `python -m tests.support.naming [folder ...]`."""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PRODUCTION = ("src/product_classifier", "components", "pipelines", "inference", "operations")
FOLDERS = (*PRODUCTION, "benchmarks", "tests")
FIRST_LINE_CHARACTERS = 100
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef


def _set(names: str) -> frozenset[str]:
    return frozenset(names.split())


BANNED_WORDS = _set(
    # The left-hand column of the language standard, word by word
    "desk handed keeper placing wake gathering question questions company blown asker hop beside opinion opinions"
    " said told turn door look looks again recipe fresh basis usable crown doubt doubts foretold strays price penalty"
    " crowd gathered alone shown lean neighbour mute"
    # Personification and scenes
    " ask asks asked asking tell tells gone heard hears believed believe believes nobody somebody everybody anybody"
    " whoever person people bring brings brought judge judges judged ill wish wishes learn learned learns fate face"
    " faces hostile strange strangers mended foreigner foreigners walk walks"
)
"""Words no public name contains, after splitting snake_case and CamelCase and lowercasing."""

BANNED_IN_TEST_NAMES = BANNED_WORDS - _set("again alone beside look looks shown turn")
"""Test names are sentences, in which these words are plain English."""

BANNED_NAMES = _set(
    "hand_in Fuse Line self_test try_out trial NOT_OUR_FAULT_TO_TELL lean_http lean_sdk whole_writes Recorder"
)
"""Whole names that are banned though their words are not."""

BANNED_PHRASES = (
    r"nobody somebody everybody anybody whoever a\ person the\ person people\ who opinions? asks? asked asking tells?"
    r" told said hears? heard believes? believed doubts? by\ hand puts?\ into\ service goes\ on gone ill looks?\ at"
    r" looks?\ after gives?\ up given\ up judges? judged company neighbours? doors? desk brings? questions?"
    r" its\ own\ life of\ its\ own of\ ours of\ its\ kind never\ sees? mended hand\ in handed crowd crown"
    r" has\ a\ turn learn\ from learned\ from next\ door behind\ its\ back foretold strays wakes? woken"
    r" hands?\ over lives\ on is\ kept\ apart lets?\ through"
)
PHRASES = tuple(re.split(r"(?<!\\) ", BANNED_PHRASES))
"""Patterns of words and phrases no first docstring line contains."""

MODULE_ROLES = _set("step component settings model app report __main__ __init__ conftest service client run")
CLASS_ROLES = _set("Settings Model Report")


@dataclass(frozen=True, order=True)
class Violation:
    """One breach of the naming rules at a line of a file."""

    path: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.reason}"


def python_files(folders: Sequence[str] = FOLDERS) -> list[Path]:
    """Return the Python files below the folders, relative to the repository's root."""
    found = {path for folder in folders for path in _below(REPOSITORY / folder)}
    return sorted(path.relative_to(REPOSITORY) for path in found if "peers" not in path.parts)


def words(name: str) -> list[str]:
    """Split snake_case and CamelCase into lower-case words."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)
    return [part.lower() for part in parts]


def banned_names(path: Path) -> Iterator[Violation]:
    """Yield the public names of a file that contain a banned word."""
    yield from _banned(path, 1, path.stem)
    for node in _parse(path).body:
        yield from _names_of(path, node)


def docstring_faults(path: Path) -> Iterator[Violation]:
    """Yield missing docstrings and first lines that are too long, unfinished or use a banned phrase."""
    tree = _parse(path)
    is_test = path.parts[0] == "tests"
    documented = [(1, "module", tree), *((node.lineno, node.name, node) for node in _public(tree))]
    for line, name, node in documented:
        text = ast.get_docstring(node)
        if text is None:
            needed = isinstance(node, ast.Module | ast.ClassDef) and not is_test and bool(tree.body)
            if needed:
                yield Violation(str(path), line, f"{name} has no docstring")
            continue
        yield from (Violation(str(path), line, f"{name}: {fault}") for fault in first_line_faults(text))


def first_line_faults(text: str) -> Iterator[str]:
    """Yield what is wrong with the first line of a docstring."""
    first = text.splitlines()[0]
    if len(first) > FIRST_LINE_CHARACTERS:
        yield f"first docstring line has {len(first)} characters, at most {FIRST_LINE_CHARACTERS}"
    if not first.endswith("."):
        yield f"first docstring line does not end with a period: {first!r}"
    for phrase in PHRASES:
        if found := re.search(rf"(?<![\w/`-]){phrase}(?![\w/`-])", first, re.IGNORECASE):
            yield f"first docstring line uses {found[0]!r}: {first!r}"


def shared_names(paths: Sequence[Path]) -> Iterator[Violation]:
    """Yield modules and public classes that share a name outside the role names."""
    modules: dict[str, list[tuple[Path, int]]] = defaultdict(list)
    classes: dict[str, list[tuple[Path, int]]] = defaultdict(list)
    for path in paths:
        if path.parent.name != "compat":  # named for the library
            modules[path.stem].append((path, 1))
        for node in _parse(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                classes[node.name].append((path, node.lineno))
    for kind, found, roles in (("module", modules, MODULE_ROLES), ("class", classes, CLASS_ROLES)):
        for name, places in found.items():
            if name not in roles and len(places) > 1:
                for path, line in places:
                    others = ", ".join(str(other) for other, _ in places if other != path)
                    yield Violation(str(path), line, f"{kind} name {name} is also used by {others or 'this file'}")


def violations(folders: Sequence[str] = FOLDERS) -> list[Violation]:
    """Return every violation below the folders, sorted by file and line."""
    found = [
        fault for path in python_files(folders) for check in (banned_names, docstring_faults) for fault in check(path)
    ]
    shared = shared_names(python_files(PRODUCTION))
    chosen = {str(path) for path in python_files(folders)}
    return sorted({*found, *(fault for fault in shared if fault.path in chosen)})


def _names_of(path: Path, node: ast.stmt) -> Iterator[Violation]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() if not node.name.startswith("_"):
            yield from _banned(path, node.lineno, node.name)
            yield from _parameters(path, node)
        case ast.ClassDef() if not node.name.startswith("_"):
            yield from _banned(path, node.lineno, node.name)
            for member in node.body:
                if isinstance(member, FUNCTION):
                    if not member.name.startswith("_"):
                        yield from _banned(path, member.lineno, member.name)
                    if not member.name.startswith("_") or member.name == "__init__":
                        yield from _parameters(path, member)
        case ast.Assign() | ast.AnnAssign():
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                for name in ast.walk(target):
                    if isinstance(name, ast.Name) and not name.id.startswith("_"):
                        yield from _banned(path, node.lineno, name.id)


def _parameters(path: Path, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Violation]:
    arguments = function.args
    given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    for argument in given:
        if argument is not None and not argument.arg.startswith("_"):
            yield from _banned(path, argument.lineno, argument.arg, f"parameter {argument.arg} of {function.name}")


def _banned(path: Path, line: int, name: str, label: str = "") -> Iterator[Violation]:
    listed = BANNED_IN_TEST_NAMES if name.startswith("test_") else BANNED_WORDS
    for word in sorted(listed.intersection(words(name))):
        yield Violation(str(path), line, f"{label or name}: {word!r} is not used in public names")
    if name in BANNED_NAMES:
        yield Violation(str(path), line, f"{label or name} is not used as a public name")


def _public(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    for node in tree.body:
        if isinstance(node, FUNCTION | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (
                    member for member in node.body if isinstance(member, FUNCTION) and not member.name.startswith("_")
                )


def _parse(path: Path) -> ast.Module:
    return ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))


def _below(place: Path) -> list[Path]:
    return [place] if place.is_file() else sorted(place.rglob("*.py"))


def main(folders: Sequence[str]) -> int:
    """Print the violations below the folders, file by file; return 1 when there are any."""
    found = violations(folders or FOLDERS)
    for violation in found:
        print(violation)  # noqa: T201 - the report of a command
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
