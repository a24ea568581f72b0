"""The feedback service killed at each of its calls that change the disk: nothing lost, nothing twice."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference.durability.writer import DurableWriter
from inference.feedback_service.correction_decisions import CorrectionDecisions
from inference.feedback_service.service import Caller, FeedbackService, VersionedCode
from product_classifier.catalogue.challenge import CHALLENGE
from product_classifier.errors import StoreUnavailable
from product_classifier.feedback.records import Correction, ProductContent
from product_classifier.store import ObjectStore, open_store
from product_classifier.store.journal import Journal
from tests.support.feedback_service_harness import correction_keys, make_service, photo, store_prediction
from tests.support.killing import Report, run_killed

pytestmark = pytest.mark.slow

REPEATS = int(os.environ.get("FAULT_REPEATS", "1"))
"""Kills at each call, with other products each time; 25 for the published table."""
USER, REVIEWER = Caller("ann", "user"), Caller("rita", "reviewer")


class InterruptibleStore:
    """A store that is unavailable while `away` is true."""

    def __init__(self, inner: ObjectStore) -> None:
        self._inner = inner
        self.away = False

    def __getattr__(self, name: str) -> Any:
        if self.away:
            raise StoreUnavailable("connection refused")
        return getattr(self._inner, name)


class Scenario:
    """A store and a journal on disk that one process after the other uses."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder = folder
        self.number = number
        self.store = open_store(f"file://{folder}/store", create=True)
        self.prediction = store_prediction(self.store, f"vu {number}")

    def start(self) -> tuple[FeedbackService, DurableWriter, InterruptibleStore]:
        """Return a service as a new process starts it."""
        store: Any = InterruptibleStore(open_store(f"file://{self.folder}/store"))
        service, writer = make_service(store, Journal(self.folder / "journal", max_bytes=1 << 20))
        return service, writer, store

    def submit(self, service: FeedbackService, report: Report, prefix: str) -> None:
        """Correct a prediction, a product and a photo, review the first; report what was acknowledged."""
        codes = CHALLENGE.codes
        result = service.correct_prediction(USER, f"{prefix}-1", self.prediction, VersionedCode(codes[1]), "")
        report((f"{prefix}-1", result.correction.feedback_id))
        CorrectionDecisions(service).review(REVIEWER, result.correction.feedback_id, "approved", "")
        report((f"{prefix}-review", result.correction.feedback_id))
        product = ProductContent(designation=f"produit {self.number}")
        result = service.correct_product(USER, f"{prefix}-2", product, VersionedCode(codes[2]), "")
        report((f"{prefix}-2", result.correction.feedback_id))
        content = photo(self.number)
        product = ProductContent(image_sha256=hashlib.sha256(content).hexdigest())
        result = service.correct_product(USER, f"{prefix}-3", product, VersionedCode(codes[3]), "", photo=content)
        report((f"{prefix}-3", result.correction.feedback_id))

    def with_the_store(self, report: Report) -> None:
        """Submit while the store is available."""
        service, _, _ = self.start()
        self.submit(service, report, "up")

    def with_an_outage(self, report: Report) -> None:
        """Submit during an outage, then replay the journal."""
        service, writer, store = self.start()
        store.away = True
        self.submit(service, report, "out")
        store.away = False
        writer.recover()

    def restart(self, work: Callable[[Report], None]) -> list[Any]:
        """Replay in a new process, where the clients repeat their requests; return what was acknowledged."""

        def replay_and_repeat(report: Report) -> None:
            _, writer, _ = self.start()
            writer.recover()
            work(report)

        return run_killed(replay_and_repeat).reported


def lost_and_duplicated(scenario: Scenario, acknowledged: list[tuple[str, str]]) -> tuple[int, int]:
    """Compare what was acknowledged with what the store has."""
    keys = correction_keys(scenario.store)
    stored = {Correction.from_json(scenario.store.get(key), key).feedback_id for key in keys}
    corrections = {identifier for name, identifier in acknowledged if not name.endswith("review")}
    reviewed = {identifier for name, identifier in acknowledged if name.endswith("review")}
    reviews = sum(key.endswith(".review.json") for key in scenario.store.list("feedback/"))
    lost = len(corrections - stored) + len(reviewed) - reviews
    photos = list(scenario.store.list("images/"))
    return lost + abs(1 - len(photos)), len(keys) - len(corrections)


@pytest.mark.parametrize("situation", ["with_the_store", "with_an_outage"])
def test_a_service_killed_at_any_disk_call_loses_and_duplicates_nothing(
    tmp_path: Path, situation: str, record_property: Callable[[str, object], None]
) -> None:
    (tmp_path / "counted").mkdir()
    first = Scenario(tmp_path / "counted", 0)
    calls = run_killed(getattr(first, situation)).calls
    counts: Counter[str] = Counter()
    for repeat in range(REPEATS):
        for kill_at in range(1, calls + 1):
            folder = tmp_path / f"{repeat}-{kill_at}"
            folder.mkdir()
            scenario = Scenario(folder, repeat * 1000 + kill_at)
            work = getattr(scenario, situation)
            result = run_killed(work, kill_at)
            acknowledged = [*result.reported, *scenario.restart(work)]
            lost, duplicated = lost_and_duplicated(scenario, acknowledged)
            # The journal makes a few calls more or fewer, depending on time; a process that had ended was not killed.
            ended_first = not result.killed and result.calls < kill_at
            counts.update(
                {"injected": result.killed, "ended first": ended_first, "lost": lost, "duplicated": duplicated}
            )
            counts["inconsistent ids"] += len(set(acknowledged)) - 4
    for name, count in counts.items():
        record_property(f"{situation}: {name}", count)

    assert counts["injected"] >= 12 * REPEATS
    assert counts["injected"] + counts["ended first"] == calls * REPEATS
    assert (counts["lost"], counts["duplicated"], counts["inconsistent ids"]) == (0, 0, 0)
