"""Score a whole catalogue on this machine: `python -m pipelines score`."""

import io
import os
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from components.shared import progress
from pipelines.scoring.locations import ResultPlace, fetch_source, find_release, result_place
from pipelines.scoring.worker_pool import run_workers
from pipelines.scoring.worker_process import score_here
from pipelines.settings import PipelineSettings, ScoreSettings
from product_classifier.errors import InvalidSettings
from product_classifier.releases.release import open_release
from product_classifier.scoring.completion import complete_job, replace_file, write_result
from product_classifier.scoring.job import REJECTS, JobFolder, JobIdentity, ScoringJob, open_job_folder
from product_classifier.scoring.planning import plan_job
from product_classifier.scoring.source import open_source
from product_classifier.store import open_store


def score(settings: ScoreSettings, pipeline: PipelineSettings, console: Console) -> None:
    """Score SOURCE into RESULT and print a summary; finished shards of an earlier run are kept.

    Raises:
        InvalidSettings: If SOURCE or RESULT is missing, or RESULT lies in SOURCE.
        CatalogueError: If SOURCE cannot be read.
        ScoringError: If RESULT holds another job, or a worker fails.
    """
    for name in ("source", "result"):
        if not getattr(settings, name):
            raise InvalidSettings(f"{name.upper()}: is missing; give a file, a folder or s3://bucket/prefix")
    place = result_place(settings.result)
    _check_apart(settings.source, place)
    with tempfile.TemporaryDirectory(prefix="score-") as name:
        release = find_release(pipeline, settings.release, Path(name))
        folder = open_job_folder(place.job)
        job = plan(settings.source, folder, release, settings.catalogue, Path(name))
        if not folder.is_complete():
            _score_shards(settings, folder, job, release)
    summary = complete_result(settings.result)
    _print(summary, place, console)


def plan_result(source: str, result: str, release: str, store: str) -> str:
    """Plan the scoring of a source by a published release; return the URL of the job."""
    place = result_place(result)
    with tempfile.TemporaryDirectory(prefix="score-") as name:
        found = find_release(PipelineSettings(store_url=store), release, Path(name))
        plan(source, open_job_folder(place.job), found, None, Path(name))
    return place.job


def complete_result(result: str) -> dict[str, Any]:
    """Check that every shard is scored, write the result and its rejects, and return the summary."""
    place = result_place(result)
    folder = open_job_folder(place.job)
    summary = folder.summary() if folder.is_complete() else complete_job(folder)
    _write(folder, place)
    return summary


def plan(source: str, folder: JobFolder, release: Path, catalogue: Path | None, scratch: Path) -> ScoringJob:
    """Return the plan of a job; read the source and write it unless it is written already.

    Args:
        source: Path, `file:///path` or `s3://bucket/key`.
        folder: The job.
        release: Folder of the release.
        catalogue: Layout of the source; by default `catalogue.yaml` beside it.
        scratch: Folder for downloads.
    """
    files = fetch_source(source, scratch)
    products = open_source(files.folder, files.name, catalogue)
    found = open_release(release)
    identity = JobIdentity(found.id, found.taxonomy.digest, files.revision(products.paths), products.layout)
    return plan_job(products.rows(), folder, identity, progress.on_stderr())


def _score_shards(settings: ScoreSettings, folder: JobFolder, job: ScoringJob, release: Path) -> None:
    finished = folder.finished_shards()
    done = sum(shard.rows for shard in job.shards if shard.number in finished)
    report = progress.on_stderr()
    report("score products", done, job.rows)

    def on_rows(rows: int) -> None:
        nonlocal done
        done += rows
        report("score products", done, job.rows)

    jobs = settings.jobs or len(os.sched_getaffinity(0))
    if jobs == 1 or len(job.shards) - len(finished) <= 1:
        photos = settings.private_photos
        score_here(
            folder, str(release), settings.source, "", 0.0, lambda shard: on_rows(shard.rows), private_photos=photos
        )
        return
    url = result_place(settings.result).job
    arguments = ["--job", url, "--release", str(release), "--source", settings.source]
    run_workers(folder, [*arguments, *["--private-photos"] * settings.private_photos], jobs, on_rows)


def _write(folder: JobFolder, place: ResultPlace) -> None:
    """Write a result in one file, and its rejects beside it; parts are the result of a folder."""
    if not place.suffix:
        return
    rejects = folder.get(REJECTS)
    if (path := place.path) is not None:
        replace_file(folder, path)
        path.with_suffix(f".{REJECTS}").write_bytes(rejects)
        return
    parts = urlsplit(place.url)
    store, key = open_store(f"s3://{parts.netloc}"), parts.path.strip("/")
    out = io.BytesIO()
    write_result(folder, out, place.suffix)
    store.put(key, out.getvalue())
    store.put(f"{key.removesuffix(place.suffix)}.{REJECTS}", rejects)


def _check_apart(source: str, place: ResultPlace) -> None:
    folder = Path(urlsplit(source).path if source.startswith("file://") else source).absolute()
    if place.path is not None and folder.is_dir() and place.path.is_relative_to(folder):
        raise InvalidSettings(
            f"RESULT: {str(place.path)!r} lies in SOURCE, whose files would change; give another place"
        )


def _print(summary: dict[str, Any], place: ResultPlace, console: Console) -> None:
    table = Table(show_header=False, box=None)
    for name in ("release", "rows", "scored", "accepted", "rejected", "without_photo", "rows_per_cpu_s"):
        value = summary[name]
        table.add_row(name.replace("_", " "), f"{value:,}" if isinstance(value, int | float) else str(value or "–"))
    console.print(table, highlight=False)
    console.print(f"result: {place.url}", highlight=False)
    if summary["rejected"]:
        rejects = f"{place.url.removesuffix(place.suffix)}.{REJECTS}" if place.suffix else f"{place.url}/{REJECTS}"
        console.print(f"rejects: {rejects}", highlight=False)
