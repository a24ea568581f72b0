"""`python -m pipelines score`: each row exactly once, read and written in any format."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from pipelines.scoring.score import score
from pipelines.settings import PipelineSettings, ScoreSettings
from product_classifier.errors import InvalidSettings, ProductClassifierError
from product_classifier.releases.product_models import ProductModels
from product_classifier.scoring import planning
from product_classifier.store import default_store_url, open_store
from tests.support.tiny_release import make_release, photo

LAYOUT = """
products: ["*.csv"]
columns: {id: sku, designation: title, description: text, image: photos, category: kind}
images: Images
"""
HEADER = ("sku", "title", "text", "photos")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_release(tmp_path_factory.mktemp("releases"), 1).path


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "ROWS_PER_SHARD", 7)


class Catalogue:
    """A folder with `catalogue.yaml`, photos and one file of products."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "Images").mkdir(parents=True)
        (folder / "catalogue.yaml").write_text(LAYOUT)
        (folder / "Images" / "red.jpg").write_bytes(photo(10))
        (folder / "Images" / "broken.jpg").write_bytes(b"no picture")

    def write(self, count: int, name: str = "offers.csv") -> Path:
        """Write products; every fifth has a photo, every seventh a broken one, every eleventh a missing one."""
        rows = []
        for at in range(count):
            photos = "red.jpg" if at % 5 == 0 else "broken.jpg" if at % 7 == 0 else "gone.jpg" if at % 11 == 0 else ""
            rows.append((f"p{at}", f"tea kettle {at}", f"<b>blue</b> {at % 3}", photos))
        return self.write_rows(rows, name)

    def write_rows(self, rows: list[tuple[str, ...]], name: str = "offers.csv") -> Path:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([HEADER, *rows])
        path = self.folder / name
        path.write_text(text.getvalue())
        return path


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(tmp_path / "source")


def run(source: Path | str, result: Path | str, release: Path, **values: Any) -> str:
    out = io.StringIO()
    given = {"source": str(source), "result": str(result), "release": str(release), "jobs": 1} | values
    state = Path(str(result)).parent / "state"
    open_store(default_store_url(state.resolve()), create=True)
    pipeline = PipelineSettings(state_dir=state)
    score(ScoreSettings(**given), pipeline, Console(file=out, width=200))
    return out.getvalue()


def expected(release: Path, rows: pd.DataFrame) -> list[tuple[str, float]]:
    models = ProductModels(release)
    photos = [photo(10) if name == "red.jpg" else b"" for name in rows["photos"]]
    found = models.score(list(rows["title"]), list(rows["text"]), photos).probabilities
    return [(models.release.taxonomy.codes[one.argmax()], float(one.max())) for one in found]


@pytest.mark.usefixtures("small_shards")
def test_each_row_is_scored_once_as_the_models_do(catalogue: Catalogue, release: Path, tmp_path: Path) -> None:
    source = catalogue.write(40)

    printed = run(source, tmp_path / "out" / "scores.parquet", release)

    found = pd.read_parquet(tmp_path / "out" / "scores.parquet")
    rows = pd.read_csv(source, keep_default_na=False)
    assert [f"p{at}" for at in range(40)] == list(found["product_id"])
    assert list(range(2, 42)) == list(found["line"])
    assert [int(code) for code, _ in expected(release, rows)] == list(found["code"])
    assert [pytest.approx(confidence, abs=1e-5) for _, confidence in expected(release, rows)] == list(
        found["confidence"]
    )
    assert {"accept", "review"} >= set(found["decision"])
    assert {release.name} == set(found["release"])
    assert {"text,image", "text"} == set(found["modalities"])
    assert 4 == sum(found["note"].str.startswith("photo not used: "))
    assert 3 == sum(found["note"] == "photo 'gone.jpg' not found")
    assert "scored 40" in " ".join(printed.split())


def test_products_may_lack_the_category_and_come_in_any_format(
    catalogue: Catalogue, release: Path, tmp_path: Path
) -> None:
    rows = pd.read_csv(catalogue.write(9), keep_default_na=False)
    tables: Mapping[str, Any] = {
        "offers.parquet": rows.to_parquet,
        "offers.jsonl": lambda path: rows.to_json(path, orient="records", lines=True),
        "offers.tsv.gz": lambda path: rows.to_csv(path, sep="\t", index=False),
    }
    run(catalogue.folder, tmp_path / "csv", release)
    first = pd.read_parquet(next((tmp_path / "csv" / "parts").glob("*.parquet")))
    for name, write in tables.items():
        write(catalogue.folder / name)
        run(catalogue.folder / name, tmp_path / f"{name}.parquet", release)
        found = pd.read_parquet(tmp_path / f"{name}.parquet")
        pd.testing.assert_frame_equal(first.drop(columns=["file", "line"]), found.drop(columns=["file", "line"]))


def test_rows_that_are_no_products_are_rejected_with_their_place(
    catalogue: Catalogue, release: Path, tmp_path: Path
) -> None:
    source = catalogue.write_rows(
        [
            ("a", "kettle", "", ""),
            ("b", "", "", ""),
            ("c", "", "", "broken.jpg"),
            ("d", "x" * 10_001, "", ""),
            ("e", "pot", "", ""),
        ]
    )
    with source.open("a") as file:
        file.write("f,too,many,fields,here\n")

    printed = run(source, tmp_path / "scores.csv", release)

    with (tmp_path / "scores.csv").open(newline="") as file:
        assert ["a", "e"] == [row["product_id"] for row in csv.DictReader(file)]
    with (tmp_path / "scores.rejects.csv").open(newline="") as file:
        rejects = [(row["line"], row["field"], row["reason"]) for row in csv.DictReader(file)]
    assert [
        ("3", "title", "neither text nor photo"),
        ("4", "photo", rejects[1][2]),
        ("5", "title", "has 10,001 characters, 10,000 are accepted"),
        ("7", "row", "5 fields instead of 4"),
    ] == rejects
    assert rejects[1][2].startswith("photo not used: ")
    assert "rejected 4" in " ".join(printed.split())


@pytest.mark.usefixtures("small_shards")
def test_a_finished_run_is_not_repeated_and_another_source_is_refused(
    catalogue: Catalogue, release: Path, tmp_path: Path
) -> None:
    source, result = catalogue.write(20), tmp_path / "scores.parquet"
    run(source, result, release)
    before = result.read_bytes()
    receipts = {path: path.stat().st_mtime_ns for path in (tmp_path / "scores.parquet.job" / "receipts").iterdir()}
    result.unlink()

    run(source, result, release)

    assert before == result.read_bytes()
    assert receipts == {path: path.stat().st_mtime_ns for path in receipts}
    assert not list((tmp_path / "scores.parquet.job" / "input").iterdir())
    catalogue.write(21)
    with pytest.raises(ProductClassifierError, match="RESULT: holds the scores of other files"):
        run(source, result, release)
    with pytest.raises(ProductClassifierError, match=f"of release {release.name}, not of r-"):
        run(source, result, make_release(tmp_path, 2).path)


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8])
@pytest.mark.usefixtures("small_shards")
def test_any_number_of_rows_is_scored(catalogue: Catalogue, release: Path, tmp_path: Path, count: int) -> None:
    run(catalogue.write(count), tmp_path / "out", release)

    summary = json.loads((tmp_path / "out" / "_complete.json").read_text())
    assert (count, count, (count + 6) // 7) == (summary["rows"], summary["scored"], len(summary["parts"]))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"source": ""}, "SOURCE: is missing; give a file, a folder or s3://bucket/prefix"),
        ({"result": ""}, "RESULT: is missing"),
        ({"source": "{source}/gone.csv"}, "SOURCE: there is no '{source}/gone.csv'; correct the path"),
        ({"result": "gs://bucket/x"}, "RESULT: 'gs://bucket/x' is no place for a result"),
        ({"source": "{source}", "result": "{source}/out"}, "RESULT: '{source}/out' lies in SOURCE"),
        ({"release": "r-20260101T000000-00000000"}, "release 'r-20260101T000000-00000000': was never published"),
        ({"source": "{empty}"}, "run `make inspect RAW={empty} WRITE=1`"),
    ],
)
def test_a_wrong_location_is_one_clear_error(
    catalogue: Catalogue, release: Path, tmp_path: Path, values: dict[str, str], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"source": str(catalogue.folder), "empty": str(tmp_path / "empty")}
    given = {"source": str(catalogue.write(3)), "result": str(tmp_path / "out"), "release": str(release)}

    with pytest.raises((ProductClassifierError, InvalidSettings)) as caught:
        run(**(given | {name: value.format(**places) for name, value in values.items()}))  # type: ignore[arg-type]

    assert message.format(**places) in str(caught.value)
