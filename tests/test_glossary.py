"""Names and docstrings follow docs/glossary.md; `python -m tests.support.naming` lists what does not."""

import re
from pathlib import Path

import pytest

from tests.support.naming import (
    FOLDERS,
    PRODUCTION,
    banned_names,
    docstring_faults,
    first_line_faults,
    python_files,
    shared_names,
    words,
)

GLOSSARY = Path(__file__).parents[1] / "docs" / "glossary.md"
TERM = re.compile(r"^- \*\*(?P<term>[^*]+)\*\*: (?P<definition>.+)$", re.MULTILINE)
REQUIRED = {
    "product", "catalogue", "category", "designation", "description", "photo", "prediction", "probability",
    "confidence", "correction", "review", "trusted correction", "snapshot", "watermark", "run", "release", "bundle",
    "champion", "challenger", "gate", "verdict", "promotion", "rollback", "canary", "shadow", "rollout", "hold-out",
    "drift", "journal", "object store",
}  # fmt: skip


def terms(page: str) -> list[str]:
    """Return the terms a glossary page defines, in order."""
    return [found["term"] for found in TERM.finditer(page)]


def duplicates(found: list[str]) -> list[str]:
    """Return the terms that are defined more than once, ignoring case."""
    folded = [term.casefold() for term in found]
    return sorted({term for term in folded if folded.count(term) > 1})


def test_the_glossary_defines_every_required_term() -> None:
    missing = REQUIRED - set(terms(GLOSSARY.read_text(encoding="utf-8")))

    assert set() == missing


def test_the_glossary_defines_no_term_twice() -> None:
    assert [] == duplicates(terms(GLOSSARY.read_text(encoding="utf-8")))


def test_a_term_defined_twice_is_found() -> None:
    page = "- **run**: One execution.\n- **step**: One container.\n- **Run**: Another meaning.\n"

    assert ["run"] == duplicates(terms(page))


def test_every_glossary_entry_is_one_line_with_a_definition() -> None:
    entries = [line for line in GLOSSARY.read_text(encoding="utf-8").splitlines() if line.startswith("- ")]

    assert entries
    assert [] == [line for line in entries if not TERM.fullmatch(line) or not line.endswith(".")]


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_public_name_contains_a_banned_word(folder: str) -> None:
    assert [] == [str(fault) for path in python_files([folder]) for fault in banned_names(path)]


@pytest.mark.parametrize("folder", FOLDERS)
def test_first_docstring_lines_are_short_complete_and_plain(folder: str) -> None:
    assert [] == [str(fault) for path in python_files([folder]) for fault in docstring_faults(path)]


def test_no_two_modules_or_classes_share_a_name() -> None:
    assert [] == [str(fault) for fault in shared_names(python_files(PRODUCTION))]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("merge_corrections", ["merge", "corrections"], id="snake case"),
        pytest.param("HTTPAsker", ["http", "asker"], id="an acronym before a word"),
        pytest.param("CircuitBreaker", ["circuit", "breaker"], id="camel case"),
        pytest.param("NOT_OUR_FAULT", ["not", "our", "fault"], id="a constant"),
        pytest.param("sha256_of", ["sha", "256", "of"], id="digits"),
    ],
)
def test_a_name_is_split_into_words(name: str, expected: list[str]) -> None:
    assert expected == words(name)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("Return the run.", None, id="plain"),
        pytest.param("Return the run", "does not end with a period", id="no period"),
        pytest.param("Return " + "x" * 100 + ".", "has 108 characters", id="too long"),
        pytest.param("Ask the predictor.", "uses 'Ask'", id="a banned phrase"),
        pytest.param("Return the task.", None, id="a banned phrase inside a word"),
    ],
)
def test_a_first_docstring_line_is_checked(text: str, fault: str | None) -> None:
    found = list(first_line_faults(text))

    assert bool(fault) == bool(found)
    assert all(fault and fault in one for one in found)
