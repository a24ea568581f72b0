"""A scoring run that is killed, as a whole or one of its workers, and run again."""

import contextlib
import io
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from pipelines.scoring.score import score
from pipelines.settings import PipelineSettings, ScoreSettings
from product_classifier.scoring import planning
from tests.support.killing import run_killed
from tests.support.tiny_release import make_release

LAYOUT = "products: [offers.csv]\ncolumns: {id: sku, designation: title, category: kind}\n"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_release(tmp_path_factory.mktemp("releases"), 1).path


@pytest.fixture
def scored(tmp_path: Path, release: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, int], None]:
    """Return a function that scores 60 products in shards of 5 into a file, with a number of workers."""
    monkeypatch.setattr(planning, "ROWS_PER_SHARD", 5)
    source = tmp_path / "source"
    source.mkdir()
    (source / "catalogue.yaml").write_text(LAYOUT)
    rows = "".join(f"p{at},kettle {at}\n" for at in range(60))
    (source / "offers.csv").write_text("sku,title\n" + rows)

    def run(result: Path, jobs: int) -> None:
        settings = ScoreSettings(source=str(source), result=str(result), release=str(release), jobs=jobs)
        score(settings, PipelineSettings(state_dir=tmp_path), Console(file=io.StringIO()))

    return run


def test_a_run_killed_ten_times_gives_the_same_result(tmp_path: Path, scored: Callable[[Path, int], None]) -> None:
    once, often = tmp_path / "once.parquet", tmp_path / "often.parquet"
    calls = run_killed(lambda _: scored(once, 1)).calls

    while_planned = [calls // 8, calls // 5]
    while_scored = [calls // 2, *(calls // 30 + at for at in range(7))]
    killed = [run_killed(lambda _: scored(often, 1), at).killed for at in (*while_planned, *while_scored)]
    receipts = len(list((tmp_path / "often.parquet.job" / "receipts").glob("*")))
    run_killed(lambda _: scored(often, 1))

    assert [True] * 10 == killed
    assert 0 < receipts < 12  # the last kills hit a job of which a part is scored
    assert once.read_bytes() == often.read_bytes()


@pytest.mark.slow
def test_a_killed_worker_is_replaced(tmp_path: Path, scored: Callable[[Path, int], None]) -> None:
    once, result = tmp_path / "once.parquet", tmp_path / "result.parquet"
    scored(once, 1)
    killed: list[int] = []

    def kill_first_worker() -> None:
        end = time.monotonic() + 60
        while not killed and time.monotonic() < end:
            for child in psutil.Process().children():
                with contextlib.suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                    if "pipelines.scoring.worker_process" in child.cmdline():
                        child.kill()
                        killed.append(child.pid)
                        break
            time.sleep(0.01)

    killer = threading.Thread(target=kill_first_worker)
    killer.start()
    scored(result, 2)
    killer.join()

    assert killed
    assert once.read_bytes() == result.read_bytes()
