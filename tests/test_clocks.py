"""No duration is measured with the wall clock, which an administrator or NTP may set back."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "components", "pipelines", "inference", "operations")
ACROSS_PROCESSES = {
    ("src/product_classifier/store/claims.py", "_others"): "claims of other machines; a future one is observed",
    ("src/product_classifier/store/file.py", "_delete_stale_writes"): "modification times of the file system",
    ("src/product_classifier/retraining/trigger.py", "_since"): "records of other processes, also observed",
    ("pipelines/queue_report.py", "write_queue"): "the days of records that other processes wrote",
    ("inference/auth_proxy/auth/keys.py", "_valid"): "when a key was retired, by another process; late is safe",
}  # fmt: skip
"""Functions that compare with the wall clock what another process wrote, and why that is right."""


def wall_times(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls of `time.time()`, `datetime.now()` and `utcnow()`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value).rpartition(".")[2]
            if (owner, node.func.attr) in {("time", "time"), ("datetime", "now"), ("datetime", "utcnow")}:
                yield node


def measures(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield name and line of each function that subtracts, adds to or compares a wall time."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        names = {
            target.id
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and any(True for _ in wall_times(node.value))
            for target in node.targets
            if isinstance(target, ast.Name) and isinstance(node.value, ast.Call)
        }
        calls = set(wall_times(function))
        for node in ast.walk(function):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
                uses = bool({node.left, node.right} & calls)
            elif isinstance(node, ast.Compare) or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub)):
                parts = set(ast.walk(node))
                uses = bool(parts & calls) or any(isinstance(part, ast.Name) and part.id in names for part in parts)
            else:
                continue
            if uses:
                yield function.name, node.lineno


def test_durations_are_measured_with_a_monotonic_clock() -> None:
    found = {
        (str(path.relative_to(ROOT)), name): line
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for name, line in measures(ast.parse(path.read_text(encoding="utf-8")))
    }

    assert {place: line for place, line in found.items() if place not in ACROSS_PROCESSES} == {}


@pytest.mark.parametrize(
    "body",
    [
        "return time.time() - self.began",
        "until = time.time()\n while time.time() < until: pass",
        "now = time.time()\n return now - began > 5",
        "return datetime.now(UTC) - began",
        "until = datetime.datetime.now() + pause",
        "began = time.time()\n work()\n return time.monotonic() - began",
    ],
)
def test_a_duration_of_wall_time_is_found(body: str) -> None:
    assert list(measures(ast.parse(f"def f(self):\n {body}\n")))


@pytest.mark.parametrize("body", ["return time.monotonic() - began", "return {'created': time.time()}", "x = 1 - 2"])
def test_other_uses_of_time_are_not(body: str) -> None:
    assert list(measures(ast.parse(f"def f(self):\n {body}\n"))) == []
