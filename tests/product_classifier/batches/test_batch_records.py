"""Batches are classified one after another, by a new process after one that ended early."""

from datetime import UTC, datetime

from product_classifier.batches.batch_records import (
    MAX_ATTEMPTS,
    BatchResult,
    UploadedBatch,
    batches_of,
    find_result,
    pending_batches,
    reconcile_batches,
    write_request,
    write_result,
)
from product_classifier.feedback.records import new_id
from product_classifier.retraining.launcher import Execution
from tests.support.fakes import FakeStore

NOW = datetime(2026, 2, 1, tzinfo=UTC)


class FakeProcesses:
    """Processes by id; a test ends them."""

    def __init__(self) -> None:
        self.states: dict[str, Execution] = {}

    def find(self, run_id: str) -> Execution | None:
        return self.states.get(run_id)

    def start(self, run_id: str, snapshot: str) -> None:
        assert (run_id not in self.states, snapshot) == (True, "")
        self.states[run_id] = Execution.ACTIVE


def request(store: FakeStore, user: str = "ann", second: int = 0) -> str:
    batch = UploadedBatch(
        batch_id=new_id(NOW.replace(second=second)),
        user=user,
        file_name="",
        kind="csv",
        file_bytes=1,
        columns=None,
        rows=1,
        rejected=0,
        problems=(),
        created=NOW,
    )
    write_request(store, batch)
    return batch.batch_id


def test_the_oldest_batch_of_all_users_is_classified_first() -> None:
    store, processes = FakeStore(), FakeProcesses()
    first, second = request(store, "ann"), request(store, "bob/../ann", second=1)

    assert [True, True] == [reconcile_batches(store, processes, NOW) for _ in range(2)]
    assert [f"{first}-1"] == list(processes.states)
    write_result(store, BatchResult(batch_id=first, done=True, finished=NOW))
    assert reconcile_batches(store, processes, NOW)
    assert [f"{first}-1", f"{second}-1"] == list(processes.states)
    assert [second] == [one.batch_id for one in pending_batches(store)]
    assert [[first], [second]] == [[one.batch_id for one in batches_of(store, user)] for user in ("ann", "bob/../ann")]


def test_a_process_that_ended_early_is_followed_by_another_a_few_times() -> None:
    store, processes = FakeStore(), FakeProcesses()
    batch = request(store)
    for _ in range(MAX_ATTEMPTS):
        assert reconcile_batches(store, processes, NOW)
        processes.states = dict.fromkeys(processes.states, Execution.FAILED)

    assert not reconcile_batches(store, processes, NOW)
    assert [f"{batch}-{number}" for number in range(1, MAX_ATTEMPTS + 1)] == list(processes.states)
    result = find_result(store, batch)
    assert result
    assert not result.done
