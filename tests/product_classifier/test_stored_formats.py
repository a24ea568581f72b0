"""Objects and files as the first version wrote them are still read, and keys are unchanged."""

from pathlib import Path

import pytest

from product_classifier.feedback.records import (
    Correction,
    PredictionRecord,
    ProductContent,
    Record,
    Review,
    correction_key,
    image_key,
    prediction_key,
    review_key,
)
from product_classifier.feedback.trust import product_key
from product_classifier.retraining import run_records
from product_classifier.retraining.snapshot import Snapshot
from product_classifier.store.journal import DamagedRange, Entry, read_segment

ID = "01a20826-9624-7e16-97ec-4c44b60b9d55"
SHA256 = "ab" * 32
RUN = "retrain-000001-6697c3c78d0c"
NOW = "2026-11-20T10:00:00Z"
PRODUCT = f'{{"designation":"Table","description":"","image_sha256":"{SHA256}"}}'

RECORDS: dict[str, tuple[type[Record], str]] = {
    "prediction": (
        PredictionRecord,
        (
            f'{{"prediction_id":"{ID}","created":"{NOW}","user":"ada","product":{PRODUCT},"code":1560,"confidence":0.9,'
            '"top":[{"code":1560,"probability":0.9},{"code":2582,"probability":0.1}],'
            '"modalities":{"text":{"code":1560,"probability":0.8},"image":null},"degraded":false,"release":"r-1"}'
        ),
    ),
    "prediction with a decision": (
        PredictionRecord,
        (
            f'{{"prediction_id":"{ID}","created":"{NOW}","user":"ada","product":{PRODUCT},"code":1560,"confidence":0.9,'
            '"decision":"accept","top":[{"code":1560,"probability":0.9},{"code":2582,"probability":0.1}],'
            '"modalities":{"text":{"code":1560,"probability":0.8},"image":null},"degraded":false,"release":"r-1"}'
        ),
    ),
    "correction of a prediction": (
        Correction,
        (
            f'{{"feedback_id":"{ID}","created":"{NOW}","user":"ada","role":"reviewer","prediction_id":"{ID}",'
            f'"product":{PRODUCT},"code":2582,"predicted":1560,"release":"r-1","comment":"of the garden"}}'
        ),
    ),
    "correction without the store": (
        Correction,
        (
            f'{{"feedback_id":"{ID}","created":"{NOW}","user":"ada","role":"user","prediction_id":"{ID}","product":null,'
            '"code":2582,"predicted":null,"release":null,"comment":""}'
        ),
    ),
    "review": (
        Review,
        f'{{"feedback_id":"{ID}","created":"{NOW}","reviewer":"rita","decision":"approved","comment":""}}',
    ),
    "claim": (
        run_records.Claim,
        (
            f'{{"generation":1,"run_id":"{RUN}","cause":"threshold","requested_by":"trigger","snapshot":"{SHA256}",'
            f'"corrections":50,"created":"{NOW}"}}'
        ),
    ),
    "start": (run_records.StartLease, f'{{"trigger":"0123","created":"{NOW}"}}'),
    "owner": (run_records.Owner, f'{{"execution":"workflow-1","created":"{NOW}"}}'),
    "verdict": (
        run_records.Verdict,
        (
            f'{{"run_id":"{RUN}","promoted":true,"release":"r-2","champion":"r-1","reasons":["better"],'
            f'"metrics":{{"weighted_f1":0.8}},"created":"{NOW}"}}'
        ),
    ),
    "failure": (
        run_records.Failure,
        f'{{"run_id":"{RUN}","step":"train_text","reason":"no text","created":"{NOW}"}}',
    ),
    "start of a step": (run_records.StepStart, f'{{"run_id":"{RUN}","step":"train_text","created":"{NOW}"}}'),
    "watermark": (
        run_records.RunResult,
        f'{{"generation":1,"run_id":"{RUN}","outcome":"succeeded","reason":"better","created":"{NOW}"}}',
    ),
    "snapshot": (
        Snapshot,
        (
            f'{{"format":1,"corrections":[{{"feedback_id":"{ID}","product_key":"{SHA256}","product":{PRODUCT},'
            f'"code":2582,"since":"{NOW}","reason":"trusted"}}]}}'
        ),
    ),
}


@pytest.mark.parametrize(("kind", "text"), RECORDS.values(), ids=RECORDS.keys())
def test_a_stored_record_is_read_and_written_unchanged(kind: type[Record], text: str) -> None:
    assert text == kind.from_json(text.encode(), "key").to_json().decode()


def test_keys_are_unchanged() -> None:
    assert f"predictions/dt=2026-11-23/{ID}.json" == prediction_key(ID)
    assert f"feedback/dt=2026-11-23/{ID}.json" == correction_key(ID)
    assert f"feedback/dt=2026-11-23/{ID}.review.json" == review_key(ID)
    assert f"images/{SHA256}" == image_key(SHA256)
    assert "retrain/claims/000001.json" == run_records.claim_key(1)
    assert "retrain/watermark/000001.json" == run_records.result_key(1)
    assert f"retrain/starts/{RUN}/0001.json" == run_records.start_lease_key(RUN, 1)
    assert f"retrain/runs/{RUN}/owner.json" == run_records.owner_key(RUN)
    assert f"retrain/runs/{RUN}/verdict.json" == run_records.verdict_key(RUN)
    assert f"retrain/runs/{RUN}/failures/" == run_records.failures_prefix(RUN)
    assert f"datasets/{SHA256}/manifest.json" == run_records.manifest_key(SHA256)


def test_a_product_key_is_unchanged() -> None:
    assert "427c7c636d3806713899f7c8808079df13fcb957ac050bea31bef8260e0847c1" == product_key(
        ProductContent(designation="Été  à la MER")
    )


def test_a_run_id_is_unchanged() -> None:
    assert "retrain-000001-dc8838a32157" == run_records.make_run_id(1, ["b", "a"])


def test_a_journal_segment_is_read(tmp_path: Path) -> None:
    segment = tmp_path / f"00000001-{bytes(range(8)).hex()}.journal"
    segment.write_bytes(
        bytes.fromhex("0001020304050607180000006ca0e9b4522fd7190f00666565646261636b2f612e6a736f6e7b2261223a317d")
        + b"\x00\x01torn"
    )

    entry, damage = read_segment(segment)
    assert Entry("feedback/a.json", b'{"a":1}') == entry
    assert isinstance(damage, DamagedRange)
