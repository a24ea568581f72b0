"""kill -9 of the feedback service at each thing it does to the disk; counts what was lost and what is there twice."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference.durability.writer import DurableWriter
from inference.feedback_service.correction_replay import CorrectionReplay
from inference.feedback_service.identity import IdIndex
from inference.feedback_service.service import Desk, Person, utc_now
from product_classifier.errors import StoreUnavailable
from product_classifier.feedback.index import FeedbackIndex
from product_classifier.feedback.records import Correction, ProductContent
from product_classifier.store import ObjectStore, open_store
from product_classifier.store.journal import Journal
from product_classifier.taxonomy import CODES
from tests.support.feedback_service_harness import corrections, photo, predict
from tests.support.killing import run_killed

REPEATS = int(os.environ.get("FAULT_REPEATS", "1"))
"""25 for the table of the goals; every repetition has other products."""

Say = Callable[[Any], None]


class AwayOnDemand:
    """A store that is away while told so."""

    def __init__(self, inner: ObjectStore) -> None:
        self._inner = inner
        self.away = False

    def __getattr__(self, name: str) -> Any:
        if self.away:
            raise StoreUnavailable("away")
        return getattr(self._inner, name)


class Scene:
    """One store and one journal on disk, used by one process after the other."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder = folder
        self.number = number
        self.store = open_store(f"file://{folder}/store", create=True)
        self.prediction = predict(self.store, f"vu {number}")

    def desk(self) -> tuple[Desk, DurableWriter, AwayOnDemand]:
        store: Any = AwayOnDemand(open_store(f"file://{self.folder}/store"))
        ids, book = IdIndex(store), FeedbackIndex(store)
        writer = DurableWriter(
            store, Journal(self.folder / "journal", max_bytes=1 << 20), CorrectionReplay(store, ids, utc_now)
        )
        return Desk(store, writer, ids, book, utc_now), writer, store

    def hand_in(self, desk: Desk, say: Say, prefix: str) -> None:
        """Correct a prediction, a product and a photo; review the first; say what was acknowledged."""
        ann, rita = Person("ann", "user"), Person("rita", "reviewer")
        handed = desk.correct_prediction(ann, f"{prefix}-1", self.prediction, CODES[1], "")
        say((f"{prefix}-1", handed.correction.feedback_id))
        desk.review(rita, handed.correction.feedback_id, "approved", "")
        say((f"{prefix}-review", handed.correction.feedback_id))
        product = ProductContent(designation=f"produit {self.number}")
        handed = desk.correct_product(ann, f"{prefix}-2", product, CODES[2], "")
        say((f"{prefix}-2", handed.correction.feedback_id))
        content = photo(self.number)
        product = ProductContent(image_sha256=hashlib.sha256(content).hexdigest())
        handed = desk.correct_product(ann, f"{prefix}-3", product, CODES[3], "", photo=content)
        say((f"{prefix}-3", handed.correction.feedback_id))

    def with_the_store(self, say: Say) -> None:
        desk, _, _ = self.desk()
        self.hand_in(desk, say, "up")

    def with_an_outage(self, say: Say) -> None:
        desk, writer, store = self.desk()
        store.away = True
        self.hand_in(desk, say, "out")
        store.away = False
        writer.recover()

    def afterwards(self, work: Callable[[Say], None]) -> list[Any]:
        """A new process drains what the killed one left, and the clients repeat what was not acknowledged."""

        def again(say: Say) -> None:
            _, writer, _ = self.desk()
            writer.recover()
            work(say)

        return run_killed(again).said


def lost_and_doubled(scene: Scene, acknowledged: list[tuple[str, str]]) -> tuple[int, int]:
    """Compare what the clients were told with what the store has."""
    keys = corrections(scene.store)
    kept = {Correction.from_json(scene.store.get(key), key).feedback_id for key in keys}
    told = {name: identifier for name, identifier in acknowledged if not name.endswith("review")}
    reviewed = {identifier for name, identifier in acknowledged if name.endswith("review")}
    reviews = sum(key.endswith(".review.json") for key in scene.store.list("feedback/"))
    lost = len(set(told.values()) - kept) + len(reviewed) - reviews
    photos = list(scene.store.list("images/"))
    return lost + abs(1 - len(photos)), len(keys) - len(set(told.values()))


@pytest.mark.parametrize("situation", ["with_the_store", "with_an_outage"])
def test_a_service_killed_at_any_step_loses_and_doubles_nothing(
    tmp_path: Path, situation: str, record_property: Callable[[str, object], None]
) -> None:
    (tmp_path / "counted").mkdir()
    first = Scene(tmp_path / "counted", 0)
    steps = run_killed(getattr(first, situation)).steps
    counts: Counter[str] = Counter()
    for repeat in range(REPEATS):
        for kill_at in range(1, steps + 1):
            folder = tmp_path / f"{repeat}-{kill_at}"
            folder.mkdir()
            scene = Scene(folder, repeat * 1000 + kill_at)
            work = getattr(scene, situation)
            ended = run_killed(work, kill_at)
            said = [*ended.said, *scene.afterwards(work)]
            lost, doubled = lost_and_doubled(scene, said)
            # The journal takes a few steps more or fewer by the clock; a process that had ended was not killed.
            ended_first = not ended.killed and ended.steps < kill_at
            counts.update({"injected": ended.killed, "ended first": ended_first, "lost": lost, "duplicated": doubled})
            counts["inconsistent ids"] += len(set(said)) - 4
    for name, count in counts.items():
        record_property(f"{situation}: {name}", count)

    assert counts["injected"] >= 12 * REPEATS
    assert counts["injected"] + counts["ended first"] == steps * REPEATS
    assert (counts["lost"], counts["duplicated"], counts["inconsistent ids"]) == (0, 0, 0)
