"""Propose the layout of a folder, and report what its catalogue has: `python -m pipelines inspect`."""

from collections.abc import Iterator
from pathlib import Path

from pipelines.settings import DataSettings
from product_classifier.catalogue.catalogue_layouts import find_layout, is_catalogue
from product_classifier.catalogue.challenge.challenge_source import ChallengeSource
from product_classifier.catalogue.inspection.catalogue_report import inspect_catalogue
from product_classifier.catalogue.inspection.proposal import Proposal, propose_layout
from product_classifier.catalogue.layout import CategoryCell
from product_classifier.catalogue.layout_file import FILE_NAME
from product_classifier.catalogue.layout_source import LayoutSource
from product_classifier.errors import CatalogueError


def inspect_data(settings: DataSettings) -> Iterator[str]:
    """Yield the lines of a report about RAW, with a proposed layout if it has none.

    Raises:
        CatalogueError: If the folder is missing, has no tables, or `write` would replace a layout or cannot write it.
    """
    folder = settings.raw or settings.data_dir / "raw"
    if not folder.is_dir():
        raise CatalogueError(f"RAW={str(folder)!r}: there is no such folder; correct the path")
    path = settings.catalogue or folder / FILE_NAME
    if settings.write and path.exists():
        raise CatalogueError(f"{path}: exists and is not replaced; delete it to write a proposal")
    if settings.write or (settings.catalogue is None and not is_catalogue(folder)):
        yield from _propose(folder, path, write=settings.write)
        return
    layout = find_layout(folder, settings.catalogue)
    if layout is None:
        yield f"{folder}: files of the challenge, which need no {FILE_NAME}"
        yield from inspect_catalogue(ChallengeSource(folder)).lines(CategoryCell())
        return
    yield f"{folder}: read by {settings.catalogue or FILE_NAME}"
    yield from inspect_catalogue(LayoutSource(folder, layout)).lines(layout.category)


def _propose(folder: Path, path: Path, *, write: bool) -> Iterator[str]:
    proposal = propose_layout(folder)
    report = inspect_catalogue(LayoutSource(folder, proposal.layout))
    adapted = proposal.for_sizes(report.sizes)
    if adapted.layout != proposal.layout:
        proposal, report = adapted, inspect_catalogue(LayoutSource(folder, adapted.layout))
    if write:
        try:
            path.write_text(proposal.yaml(), encoding="utf-8")
        except OSError as error:
            raise CatalogueError(
                f"{path}: cannot be written: {error.strerror}; name another file with CATALOGUE="
            ) from error
    yield f"# {path}: {'written' if write else 'proposed; WRITE=1 writes it'}"
    yield from proposal.yaml().splitlines()
    yield ""
    yield f"{proposal.table.file}: {proposal.table.format}"
    yield from _unused(proposal)
    yield from report.lines(proposal.layout.category)


def _unused(proposal: Proposal) -> Iterator[str]:
    used = proposal.roles.positions()
    columns = [profile for profile in proposal.profiles if profile.position not in used]
    if columns:
        yield f"columns that are not used: {', '.join(profile.name or str(profile.position) for profile in columns)}"
    if proposal.unused:
        yield f"files with other columns, not used: {', '.join(proposal.unused)}"
