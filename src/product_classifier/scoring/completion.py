"""Check that a job is complete, and write its rejects and its result."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from product_classifier.errors import ScoringError
from product_classifier.scoring.job import COMPLETE, REJECTS, JobFolder, Receipt, ScoringJob

REJECT_COLUMNS: Final = ("file", "line", "field", "value", "reason")


def complete_job(folder: JobFolder) -> dict[str, Any]:
    """Check all receipts, write the rejects and `_complete.json`, and return its content.

    Raises:
        ScoringError: If a shard has no receipt, or the rows of the receipts are not those of the plan.
    """
    job = folder.require_plan()
    receipts = folder.receipts(job.shards)
    for shard, receipt in zip(job.shards, receipts, strict=True):
        if receipt.identity != job.identity or receipt.scored + len(receipt.rejects) != shard.rows:
            raise ScoringError(
                f"receipt of shard {shard.number}: is not of this job, or has not its {shard.rows} rows; delete RESULT"
                " and start again"
            )
    folder.put(REJECTS, rejects_to_csv(job, receipts))
    summary = _summary(job, receipts)
    folder.put(COMPLETE, (json.dumps(summary, indent=1) + "\n").encode())
    folder.delete_input()
    return summary


def rejects_to_csv(job: ScoringJob, receipts: list[Receipt]) -> bytes:
    """Return the rejected rows in the order of the source's files."""
    rows = [*job.rejects, *(reject for receipt in receipts for reject in receipt.rejects)]
    files = {file: at for at, file in enumerate(dict.fromkeys(shard.file for shard in job.shards))}
    rows.sort(key=lambda row: (files.get(row["file"], len(files)), row["file"], row["line"]))
    out = io.StringIO()
    writer = csv.DictWriter(out, REJECT_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode("utf-8", errors="replace")


def write_result(folder: JobFolder, file: IO[bytes], suffix: str) -> None:
    """Write the predictions of a complete job to one file, part by part in the order of the source.

    Args:
        folder: The job.
        file: Opened for writing.
        suffix: `.csv` or `.parquet`; in CSV a path is a JSON list.
    """
    tables = _parts(folder)
    first = next(tables, None)
    if first is None:
        raise ScoringError("RESULT: the source has no products, so there is nothing to write; see the rejects")
    if suffix == ".csv":
        first = _for_csv(first)
        with arrow_csv.CSVWriter(file, first.schema) as writer:
            writer.write_table(first)
            for table in tables:
                writer.write_table(_for_csv(table))
        return
    with parquet.ParquetWriter(file, first.schema, compression="zstd") as writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)


def replace_file(folder: JobFolder, path: Path) -> None:
    """Write the predictions to a file that is complete or absent."""
    incomplete = path.with_name(f".{path.name}.incomplete")
    try:
        with incomplete.open("wb") as file:
            write_result(folder, file, path.suffix.lower())
        incomplete.replace(path)
    finally:
        incomplete.unlink(missing_ok=True)


def _parts(folder: JobFolder) -> Iterator[pa.Table]:
    for key in folder.summary()["parts"]:
        yield parquet.read_table(io.BytesIO(folder.get(key)), use_threads=False)


def _for_csv(table: pa.Table) -> pa.Table:
    paths = [json.dumps(path, ensure_ascii=False) if path else "" for path in table["path"].to_pylist()]
    return table.set_column(table.schema.get_field_index("path"), "path", pa.array(paths, pa.string()))


def _summary(job: ScoringJob, receipts: list[Receipt]) -> dict[str, Any]:
    scored = sum(receipt.scored for receipt in receipts)
    cpu_s = sum(receipt.cpu_s for receipt in receipts)
    return {
        "release": job.identity.release,
        "taxonomy": job.identity.taxonomy,
        "source": job.identity.source,
        "layout": job.identity.layout,
        "rows": job.rows + len(job.rejects),
        "scored": scored,
        "accepted": sum(receipt.accepted for receipt in receipts),
        "without_photo": sum(receipt.without_photo for receipt in receipts),
        "rejected": len(job.rejects) + job.rows - scored,
        "cpu_s": round(cpu_s, 1),
        "rows_per_cpu_s": round(scored / cpu_s, 1) if cpu_s else None,
        "parts": [receipt.part for receipt in receipts],
    }
