"""`python -m pipelines taxonomy apply` checks a change file, prints what it does and stores it."""

import json
from pathlib import Path

import pytest

from pipelines.__main__ import FAILED, main
from product_classifier.audit.audit_events import AUDIT_PREFIX
from product_classifier.feedback.records import Correction, ProductContent, new_id
from product_classifier.store import ObjectStore, open_store
from product_classifier.stored_taxonomy.change_store import CHANGES_PREFIX, IN_SERVICE_KEY, read_state, write_products
from product_classifier.taxonomy import Category, Taxonomy
from product_classifier.taxonomy.folder import to_bytes
from tests.product_classifier.stored_taxonomy.test_change_store import NOW

MERGE = {"do": "merge", "codes": ["mugs"], "into": "cups"}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    monkeypatch.setenv("STORE_URL", tmp_path.joinpath("store").as_uri())
    store = open_store(tmp_path.joinpath("store").as_uri(), create=True)
    store.put(IN_SERVICE_KEY, to_bytes(Taxonomy((Category("cups"), Category("mugs")))))
    write_products(store, {"cups": 8, "mugs": 6})
    correction = Correction(
        feedback_id=new_id(), created=NOW, user="rita", role="reviewer", product=ProductContent(designation="Mug"),
        code="mugs",
    )  # fmt: skip
    store.put(correction.key, correction.to_json())
    return store


def write(folder: Path, *changes: dict[str, object], version: int = 1) -> str:
    path = folder / "change.json"
    path.write_text(json.dumps({"from": version, "to": version + 1, "changes": list(changes)}))
    return str(path)


def test_a_dry_run_prints_the_counts_and_changes_nothing(
    store: ObjectStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = set(store.list())

    assert main(["taxonomy", "apply", write(tmp_path, MERGE), "--dry-run"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[1:2]] == [["merge", "mugs", "mapped:", "cups", "6", "1"]]
    assert lines[-1] == "change.json: version 1 to 2 would be applied"
    assert set(store.list()) == before


def test_a_file_is_applied_once_and_recorded_in_the_audit_log(
    store: ObjectStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for outcome in ("is applied", "was applied before"):
        assert main(["taxonomy", "apply", write(tmp_path, MERGE)]) == 0
        assert capsys.readouterr().out.splitlines()[-1] == f"change.json: version 1 to 2 {outcome}"

    assert "mugs" not in read_state(store).newest
    assert len(list(store.list(CHANGES_PREFIX))) == 1
    assert [key.split(".")[1] for key in store.list(AUDIT_PREFIX)] == ["taxonomy_changed"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"do": "merge", "codes": ["mugs"], "into": "bowls"}, "change 1 (merge): 'bowls' is not there in version 2"),
        ({"do": "merge", "codes": ["mug"], "into": "cups"}, "the nearest are 'mugs'"),
        ({"do": "merge", "codes": ["mugs"]}, "change.json: changes.0.merge.into: "),
    ],
)
def test_an_invalid_file_is_one_error(
    store: ObjectStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], message: str
) -> None:
    assert main(["taxonomy", "apply", write(tmp_path, change)]) == FAILED

    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("taxonomy: ")
    assert message in line
    assert not list(store.list(CHANGES_PREFIX))
