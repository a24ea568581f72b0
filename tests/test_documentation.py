"""The pages of docs/ agree with the code they describe."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from operations import metrics_reference
from operations.settings_reference import PAGE, SECTIONS, page
from product_classifier.settings_help import variables
from tests.support.naming import FOLDERS, PHRASES, PRODUCTION, python_files

REPOSITORY = Path(__file__).parents[1]
HELP = {
    "inference.auth_proxy": ("AUTH_PROXY_PORT", "OIDC_ISSUER", "S3_ENDPOINT", "LOG_LEVEL"),
    "inference.feedback_service": ("FEEDBACK_INTERNAL_TOKEN", "S3_ENDPOINT"),
    "inference.fusion_transformer": ("FUSION_TEXT_URL", "RELEASE"),
    "inference.text_predictor": ("RELEASE", "LOG_FORMAT"),
    "inference.image_predictor": ("RELEASE", "LOG_FORMAT"),
    "inference.collocated": ("FUSION_DEADLINE_S", "RELEASE"),
    "inference.simulation": ("RATE", "S3_ENDPOINT"),
    "pipelines": ("STATE_DIR", "MLFLOW_TRACKING_URI", "RAW", "S3_ENDPOINT"),
    "pipelines train": ("STATE_DIR", "MLFLOW_TRACKING_URI", "RAW", "S3_ENDPOINT"),
    "pipelines.retrain": ("RETRAIN_COOLDOWN", "RETRAIN_PORT", "STORE_URL", "S3_ENDPOINT"),
    "operations.local": ("PORT", "COLLOCATED"),
    "operations.demo": ("DEMO_DIR", "PRODUCTS"),
    "operations.cluster": ("OVERLAY", "TAG"),
}
"""Command to variables its --help lists: one or more of each settings class it reads."""


def test_the_configuration_page_is_generated_from_the_settings() -> None:
    """Run `python -m operations.settings_reference` when this fails."""
    assert page() == PAGE.read_text(encoding="utf-8")


def test_the_metrics_page_is_generated_from_the_definitions() -> None:
    """Run `python -m operations.metrics_reference` when this fails."""
    assert metrics_reference.page() == metrics_reference.PAGE.read_text(encoding="utf-8")


def test_every_settings_class_is_on_the_configuration_page() -> None:
    documented = {f"{one.__module__}.{one.__qualname__}" for section in SECTIONS for one in section.settings}
    defined = {
        f"{'.'.join(path.with_suffix('').parts).removeprefix('src.')}.{node.name}"
        for path in python_files(PRODUCTION)
        for node in ast.parse((REPOSITORY / path).read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "BaseSettings" for base in node.bases)
    }

    assert defined == documented


def test_every_setting_has_a_docstring() -> None:
    missing = {
        variable.names[0]
        for section in SECTIONS
        for settings in section.settings
        for variable in variables(settings)
        if not variable.description
    }

    assert set() == missing


def test_every_variable_that_the_code_reads_itself_is_on_the_configuration_page() -> None:
    read = {
        name
        for path in python_files(PRODUCTION)
        for name in re.findall(
            r"(?:os\.environ\.get\(|os\.environ\[|os\.getenv\()\"(\w+)\"",
            (REPOSITORY / path).read_text(encoding="utf-8"),
        )
    }

    assert set() == {name for name in read if f"`{name}`" not in PAGE.read_text(encoding="utf-8")}


@pytest.mark.parametrize("command", HELP)
def test_help_lists_the_environment_variables_with_their_meaning(command: str) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", *command.split(), "--help"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    listed = set(re.findall(r"^  ([A-Z][A-Z0-9_]+(?: or [A-Z0-9_]+)*) \(", shown, re.MULTILINE))
    names = {name for line in listed for name in line.split(" or ")}

    assert set() == set(HELP[command]) - names


def test_the_index_of_decisions_lists_every_page_with_its_title_date_and_status() -> None:
    folder = REPOSITORY / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| \[(\d{4})\]\((\S+)\) \| (.+) \| (\S+) \| (.+) \|$",
        index,
        re.MULTILINE,
    )
    pages = []
    for path in sorted(folder.glob("[0-9]*.md")):
        text = path.read_text(encoding="utf-8")
        heading = re.match(
            r"# (\d+)\. (.+)\n\nDate: (\d{4}-\d\d-\d\d)\. Status: (accepted|superseded by \d{4})\.\n", text
        )
        assert heading, path
        number, title, date, status = heading.groups()
        assert path.name.startswith(f"{int(number):04}-"), path
        pages.append((path.name[:4], path.name, title, date, status))

    assert pages
    assert pages == rows


@pytest.mark.parametrize(
    "page_", sorted((REPOSITORY / "docs" / "decisions").glob("[0-9]*.md")), ids=lambda path: path.stem
)
def test_a_decision_states_context_decision_alternative_and_consequence(page_: Path) -> None:
    parts = re.findall(r"^\*\*(.+?)\.\*\*", page_.read_text(encoding="utf-8"), re.MULTILINE)

    assert ["Context", "Decision", "Rejected alternative", "Consequence"] == parts


def _messages() -> str:
    """Return every string of the production code, one a line, with `…` in place of formatted values."""
    found = [(REPOSITORY / "Makefile").read_text(encoding="utf-8")]
    for path in python_files(PRODUCTION):
        for node in ast.walk(ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


def test_the_messages_that_troubleshooting_explains_exist() -> None:
    """A message is in backticks at the start of a row, alone or after an HTTP status."""
    text = (REPOSITORY / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^\| (?:\d{3} )?`([^`]* [^`]*)` \|", text, re.MULTILINE)
    known = _messages()

    assert quoted
    assert [] == [message for message in quoted if message not in known]


PAGES = sorted({
    *REPOSITORY.glob("*.md"),
    *(REPOSITORY / "docs").rglob("*.md"),
    *(REPOSITORY / name / "README.md" for name in ("data", "components", "pipelines", "manifests")),
})  # fmt: skip
ROOTS = (*(f"{folder}/" for folder in FOLDERS), "src/", "manifests/", "docs/")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_link_and_path_of_a_page_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text) if not (path.parent / link).exists()]
    named = [name for name in re.findall(r"`([\w.-]+(?:/[\w.-]+)*/?)`", text) if name.startswith(ROOTS)]

    assert [] == links
    assert [] == [name for name in named if not (REPOSITORY / name).exists() and not (path.parent / name).exists()]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_module_a_page_runs_exists(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    modules = re.findall(r"python -m ((?:components|pipelines|inference|operations|tests)(?:\.\w+)*)(?!\.<)\b", text)

    assert [] == [
        name
        for name in modules
        if not (REPOSITORY / name.replace(".", "/") / "__main__.py").exists()
        and not (REPOSITORY / f"{name.replace('.', '/')}.py").exists()
    ]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_page_uses_no_banned_phrase(path: Path) -> None:
    text = re.sub(r"```.*?```|`[^`]*`", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)

    assert [] == [phrase for phrase in PHRASES if re.search(rf"(?<![\w-]){phrase}(?![\w-])", text, re.IGNORECASE)]
