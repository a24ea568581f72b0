import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from components.merge_corrections import step
from components.shared import corrections, failures
from components.split_catalogue import step as split_catalogue
from components.train_image.photos import read_photos
from product_classifier.catalogue.splits import SPLITS
from product_classifier.errors import CatalogueError, InvalidInput, RunSuperseded
from product_classifier.feedback.records import ProductContent, image_key
from product_classifier.feedback.trust import Label, product_key
from product_classifier.retraining import RunStore, request_run, write_snapshot
from product_classifier.store import open_store
from tests.support.fixtures_data import jpeg

NOW = datetime(2030, 1, 1, tzinfo=UTC)


class Kept:
    """A store with corrections in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"file://{folder}/store"
        self.store = open_store(self.url, create=True)
        self.labels: list[Label] = []

    def label(self, designation: str = "", photo: bytes = b"", code: int = 40) -> str:
        """Believe that a product has a code; return the key of its photo."""
        digest = hashlib.sha256(photo).hexdigest() if photo else None
        product = ProductContent(designation=designation, image_sha256=digest)
        number = f"f{len(self.labels)}"
        self.labels.append(Label(product_key(product), product, code, number, NOW, "trusted"))
        if digest:
            self.store.put(image_key(digest), photo)
        return image_key(digest) if digest else ""

    def claim(self) -> tuple[str, str]:
        """Claim a run over these labels; return its id and its snapshot."""
        claim = request_run(RunStore(self.store), tuple(self.labels), "ada", NOW)
        return claim.run_id, claim.snapshot

    def bring(self, **given: str) -> int:
        return step.run(self.corrections, self.folder / "report.json", store=self.url, **given)

    @property
    def corrections(self) -> Path:
        return self.folder / "corrections.parquet"

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "report.json").read_text())
        return found


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_without_a_snapshot_there_are_no_corrections(tmp_path: Path) -> None:
    count = step.run(tmp_path / "corrections.parquet", tmp_path / "report.json")

    assert (0, 0) == (count, len(pd.read_parquet(tmp_path / "corrections.parquet")))


def test_corrections_bring_their_photos_along(kept: Kept) -> None:
    kept.label("une piscine bleue", jpeg(10))
    kept.label("un livre ancien")
    kept.label(photo=jpeg(20))

    assert 3 == kept.bring(snapshot=write_snapshot(kept.store, kept.labels))
    found = pd.read_parquet(kept.corrections)
    assert {jpeg(10), jpeg(20), None} == set(found["photo"])
    assert all(product_id < 0 for product_id in found["product_id"])
    assert [] == kept.report["skipped"]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda kept, key: kept.store.delete(key), "is lost"),
        (lambda kept, key: kept.store.put(key, jpeg(11)), "was changed"),
        (lambda kept, key: kept.label(photo=jpeg(12)[:200]), "cannot be used"),
        (lambda kept, key: kept.label(designation="…"), "no word"),
    ],
    ids=["lost", "changed", "truncated", "no word"],
)
def test_a_damaged_correction_is_reported_and_skipped(kept: Kept, damage: Any, reason: str) -> None:
    kept.label("un livre ancien")
    key = kept.label("une piscine bleue", jpeg(10))
    damage(kept, key)

    assert len(kept.labels) - 1 == kept.bring(snapshot=write_snapshot(kept.store, kept.labels))
    (skipped,) = kept.report["skipped"]
    assert reason in skipped["reason"]


def test_a_snapshot_that_was_changed_is_refused(kept: Kept) -> None:
    snapshot = write_snapshot(kept.store, kept.labels)
    kept.store.put(f"datasets/{snapshot}/manifest.json", b'{"format":1,"corrections":[]} ')

    with pytest.raises(InvalidInput, match="was changed"):
        kept.bring(snapshot=snapshot)


def test_one_execution_is_the_run_and_any_other_is_superseded(kept: Kept) -> None:
    kept.label("un livre ancien")
    run_id, snapshot = kept.claim()

    assert [1, 1] == [kept.bring(run_id=run_id, snapshot=snapshot, execution="x1") for _ in range(2)]
    with pytest.raises(RunSuperseded, match="x2"):
        kept.bring(run_id=run_id, snapshot=snapshot, execution="x2")


def test_a_run_that_is_over_cannot_be_taken(kept: Kept) -> None:
    run_id, snapshot = kept.claim()
    RunStore(kept.store).finish(1, run_id, "failed", "stopped", NOW)

    with pytest.raises(RunSuperseded, match=run_id):
        kept.bring(run_id=run_id, snapshot=snapshot, execution="x1")


def test_corrections_reach_the_models_and_no_other_side(kept: Kept) -> None:
    names = ["product_id", "designation", "description", "image_path", "code", "line", "image_sha256"]
    rows = [(n, f"un titre parmi d'autres {n}", "", "", 10, n, "") for n in range(200)]
    pd.DataFrame(rows, columns=names).to_parquet(kept.folder / "catalogue.parquet")
    for number in range(200):
        kept.label(f"un titre parmi d'autres {number}")
    kept.label("un tout nouveau produit", jpeg(10))
    kept.bring(snapshot=write_snapshot(kept.store, kept.labels))

    sides = {side: kept.folder / f"{side}.parquet" for side in SPLITS}
    report = kept.folder / "splits.json"
    split_catalogue.run(kept.folder / "catalogue.parquet", **sides, report=report, corrections=kept.corrections)
    with read_photos(sides["train"], 16) as photos:
        shown = len(photos)

    counts = json.loads(report.read_text())["corrections"]
    frames = {side: pd.read_parquet(path) for side, path in sides.items()}
    assert {10} == {code for side in SPLITS[1:] for code in frames[side]["code"]}
    assert {40} == set(frames["train"]["code"])
    assert len(frames["validation"]) + len(frames["test"]) == counts["held_out"]
    assert len(frames["unseen"]) + 1 == counts["added"]
    assert 1 == shown


def test_a_run_says_why_it_failed_and_a_superseded_execution_says_nothing(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, _ = kept.claim()
    run_store = RunStore(kept.store)

    with pytest.raises(RunSuperseded), failures.recorded("merge_corrections", kept.url, run_id):
        raise RunSuperseded("x")
    assert run_store.failure(run_id) is None
    kept.bring(run_id=run_id, execution="x1")
    monkeypatch.setenv(failures.EXECUTION, "x1")
    with pytest.raises(CatalogueError), failures.recorded("prepare_catalogue", kept.url):
        raise CatalogueError("12 of 20 rows were rejected")
    failure = run_store.failure(run_id)
    assert failure
    assert ("prepare_catalogue", "CatalogueError: 12 of 20 rows were rejected") == (failure.step, failure.reason)


@pytest.mark.parametrize("execution", ["", "x2"], ids=["by hand", "another run's"])
def test_a_step_of_an_execution_that_is_not_the_run_writes_nothing_about_it(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, execution: str
) -> None:
    run_id, _ = kept.claim()
    kept.bring(run_id=run_id, execution="x1")
    monkeypatch.setenv(failures.EXECUTION, execution)

    with pytest.raises(CatalogueError), failures.recorded("prepare_catalogue", kept.url):
        raise CatalogueError("12 of 20 rows were rejected")

    assert RunStore(kept.store).failure(run_id) is None


@pytest.mark.parametrize("run_id", ["", "retrain-000001-0123456789ab"])
@pytest.mark.parametrize("store", ["file:///no/such/folder", "nonsense"])
def test_a_store_that_is_away_does_not_hide_why_a_step_failed(store: str, run_id: str) -> None:
    with pytest.raises(CatalogueError), failures.recorded("train_text", store, run_id):
        raise CatalogueError("nothing to learn from")


def test_the_same_corrections_have_the_same_name_and_others_another(kept: Kept) -> None:
    kept.label("une piscine bleue", jpeg(10))
    names = []
    for _ in range(2):
        kept.bring(snapshot=write_snapshot(kept.store, kept.labels))
        names.append(corrections.keep(kept.store, kept.corrections))
    kept.label("un livre ancien")
    kept.bring(snapshot=write_snapshot(kept.store, kept.labels))
    names.append(corrections.keep(kept.store, kept.corrections))

    assert names[0] == names[1] != names[2]
    brought = corrections.bring(kept.url, names[2], kept.folder / "brought.parquet")
    assert brought
    assert kept.corrections.read_bytes() == brought.read_bytes()


def test_without_corrections_there_is_no_table_to_bring(kept: Kept) -> None:
    assert corrections.bring(kept.url, "", kept.folder / "brought.parquet") is None


def test_kept_corrections_that_were_changed_are_refused_and_mended_by_the_next_run(kept: Kept) -> None:
    kept.label("un livre ancien")
    kept.bring(snapshot=write_snapshot(kept.store, kept.labels))
    name = corrections.keep(kept.store, kept.corrections)
    kept.store.put(f"datasets/{name}/corrections.parquet", b"PAR1")

    with pytest.raises(InvalidInput, match="was changed"):
        corrections.bring(kept.url, name, kept.folder / "brought.parquet")
    assert name == corrections.keep(kept.store, kept.corrections)
    assert corrections.bring(kept.url, name, kept.folder / "brought.parquet")
