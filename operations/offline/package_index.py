"""A folder of package files as a package index (PEP 503), which any web server can serve."""

import hashlib
import re
import shutil
import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path

from operations.cluster.command_runner import CommandRunner

FILES = "files"
SIMPLE = "simple"


def download(runner: CommandRunner, locks: Sequence[Path], folder: Path) -> None:
    """Download every package of lock files, verified by its digest, from the index that pip uses."""
    for lock in locks:
        runner.run_step(
            f"packages of {lock}",
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"),
                *("--dest", str(folder / FILES), "--requirement", str(lock)),
            ],
        )


def write_index(folder: Path) -> int:
    """Write the pages of the index for the files in `folder / "files"`; return the number of projects."""
    projects: dict[str, list[Path]] = {}
    for path in sorted((folder / FILES).iterdir()):
        projects.setdefault(_project(path.name), []).append(path)
    shutil.rmtree(folder / SIMPLE, ignore_errors=True)
    _write(folder / SIMPLE, [(f"{name}/", name) for name in projects])
    for name, paths in projects.items():
        links = [(f"../../{FILES}/{path.name}#sha256={_digest(path)}", path.name) for path in paths]
        _write(folder / SIMPLE / name, links)
    return len(projects)


def _project(file: str) -> str:
    """Return the normalized name of the project of a wheel or a source archive."""
    name = file.split("-", 1)[0] if file.endswith(".whl") else re.sub(r"-\d[^-]*\.(tar\.gz|zip)$", "", file)
    return re.sub(r"[-_.]+", "-", name).lower()


def _write(folder: Path, links: Sequence[tuple[str, str]]) -> None:
    folder.mkdir(parents=True)
    lines = [f'<a href="{escape(target)}">{escape(text)}</a><br>' for target, text in links]
    page = "\n".join(["<!DOCTYPE html>", "<title>Package index</title>", *lines, ""])
    (folder / "index.html").write_text(page, encoding="utf-8")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
