"""An uploaded file is classified by the deployed release, and an interrupted batch is resumed."""

import csv
import io
import zipfile
from pathlib import Path

import pytest

from pipelines.batch_command import run_batch
from pipelines.settings import PipelineSettings
from product_classifier.batches.batch_records import (
    SCORES,
    BatchResult,
    ColumnMapping,
    UploadedBatch,
    find_result,
    read_progress,
    read_upload,
    result_part_key,
    write_request,
    write_upload,
)
from product_classifier.batches.uploaded_files import Kind
from product_classifier.errors import InvalidInput
from product_classifier.feedback.records import created_at, new_id
from product_classifier.scoring import planning
from product_classifier.scoring.job import JobFolder
from tests.support.promotions import Stage
from tests.support.tiny_release import photo


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(planning, "ROWS_PER_SHARD", 4)
    found = Stage(tmp_path)
    found.rollout.switch(found.publish(1))
    return found


def settings(stage: Stage) -> PipelineSettings:
    return PipelineSettings(store_url=stage.url, rollout_url=stage.rollout_url, state_dir=stage.root / "state")


def upload(stage: Stage, data: bytes, kind: Kind = "csv") -> str:
    batch_id = new_id()
    write_upload(stage.store, batch_id, iter([data[:50], data[50:]]))
    batch = UploadedBatch(
        batch_id=batch_id,
        user="ann",
        file_name="",
        kind=kind,
        file_bytes=len(data),
        columns=ColumnMapping(id="sku", designation="title", image="photo"),
        rows=10,
        rejected=0,
        problems=(),
        created=created_at(batch_id),
    )
    write_request(stage.store, batch)
    return batch_id


def table(rows: int, photo_name: str = "") -> bytes:
    return b"sku,title,photo\n" + b"".join(b"p%d,tea %d,%s\n" % (at, at, photo_name.encode()) for at in range(rows))


def predictions(stage: Stage, result: BatchResult) -> list[dict[str, str]]:
    parts = (stage.store.get(result_part_key(result.batch_id, part)) for part in range(result.parts))
    return list(csv.DictReader(io.StringIO(b"".join(parts).decode())))


def test_each_row_is_classified_once_in_the_order_of_the_file(stage: Stage) -> None:
    batch_id = upload(stage, table(10))
    run_batch(settings(stage), f"{batch_id}-1")
    run_batch(settings(stage), f"{batch_id}-2")

    result = find_result(stage.store, batch_id)
    assert result
    assert (True, stage.rollout.current(), 10, 0) == (result.done, result.release, result.scored, result.rejected)
    assert [f"p{at}" for at in range(10)] == [row["product_id"] for row in predictions(stage, result)]
    assert [] == list(read_upload(stage.store, batch_id))


def test_photos_of_an_archive_are_used(stage: Stage) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("list.csv", table(3, "red.jpg"))
        archive.writestr("photos/red.jpg", photo(10))
    batch_id = upload(stage, out.getvalue(), "zip")
    run_batch(settings(stage), f"{batch_id}-1")

    result = find_result(stage.store, batch_id)
    assert result
    assert ["text,image"] * 3 == [row["modalities"] for row in predictions(stage, result)]


def test_an_interrupted_batch_keeps_what_was_classified(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    batch_id = upload(stage, table(10))
    written: list[int] = []
    put = JobFolder.write_receipt

    def write_receipt(folder: JobFolder, receipt: object) -> None:
        if len(written) == 1:
            raise KeyboardInterrupt
        written.append(1)
        put(folder, receipt)  # type: ignore[arg-type]

    monkeypatch.setattr(JobFolder, "write_receipt", write_receipt)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    with pytest.raises(KeyboardInterrupt):
        run_batch(settings(stage), f"{batch_id}-1")
    interrupted = read_progress(stage.store, batch_id)
    monkeypatch.setattr(JobFolder, "write_receipt", put)
    run_batch(settings(stage), f"{batch_id}-2")

    assert (10, 4) == (interrupted.rows, interrupted.classified)
    result = find_result(stage.store, batch_id)
    assert result
    assert 10 == len(predictions(stage, result))
    assert JobFolder(stage.store, f"{SCORES}{batch_id}/").is_complete()


def test_a_file_that_cannot_be_classified_fails_the_batch_with_its_reason(stage: Stage) -> None:
    batch_id = upload(stage, b"no archive", "zip")
    run_batch(settings(stage), f"{batch_id}-1")

    result = find_result(stage.store, batch_id)
    assert result
    assert (False, True) == (result.done, "is no ZIP archive" in result.reason)


def test_an_unknown_batch_is_an_error(stage: Stage) -> None:
    with pytest.raises(InvalidInput, match="no batch has this id"):
        run_batch(settings(stage), f"{new_id()}-1")
