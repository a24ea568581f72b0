"""Requests for releases are carried out once, in their order, whatever happens to their processes."""

from datetime import UTC, datetime

import pytest

from product_classifier.feedback.records import new_id
from product_classifier.release_history.release_actions import (
    WITHOUT_RESULT,
    ActionResult,
    ReleaseAction,
    find_result,
    pending_actions,
    reconcile_actions,
    request_action,
    write_result,
)
from product_classifier.retraining.launcher import Execution
from tests.support.fakes import FakeStore

NOW = datetime(2026, 2, 1, tzinfo=UTC)
RELEASE = "r-20260101T000000-00000001"


class FakeProcesses:
    """Processes by action; a test ends them."""

    def __init__(self) -> None:
        self.states: dict[str, Execution] = {}

    def find(self, run_id: str) -> Execution | None:
        return self.states.get(run_id)

    def start(self, run_id: str, snapshot: str) -> None:
        assert (run_id not in self.states, snapshot) == (True, "")
        self.states[run_id] = Execution.ACTIVE


def request(store: FakeStore, second: int = 0) -> str:
    action = ReleaseAction(
        action_id=new_id(NOW.replace(second=second)),
        kind="promote",
        release=RELEASE,
        requested_by="ada",
        created=NOW,
    )
    request_action(store, action)
    return action.action_id


def test_one_process_is_started_at_a_time_the_oldest_request_first() -> None:
    store, processes = FakeStore(), FakeProcesses()
    first, second = request(store), request(store, second=1)

    assert [True, True] == [reconcile_actions(store, processes, NOW) for _ in range(2)]
    assert [first] == list(processes.states)
    write_result(store, ActionResult(action_id=first, done=True, reason="", finished=NOW))
    assert reconcile_actions(store, processes, NOW)
    assert [first, second] == list(processes.states)


@pytest.mark.parametrize("state", [Execution.FAILED, Execution.SUCCEEDED])
def test_a_process_that_ended_without_a_result_has_failed(state: Execution) -> None:
    store, processes = FakeStore(), FakeProcesses()
    action = request(store)
    reconcile_actions(store, processes, NOW)
    processes.states[action] = state

    assert not reconcile_actions(store, processes, NOW)
    assert ActionResult(action_id=action, done=False, reason=WITHOUT_RESULT, finished=NOW) == find_result(store, action)
    assert [] == pending_actions(store)


def test_the_first_result_stays() -> None:
    store = FakeStore()
    action = request(store)
    for done in (True, False):
        write_result(store, ActionResult(action_id=action, done=done, reason=str(done), finished=NOW))

    result = find_result(store, action)
    assert result
    assert (True, "True") == (result.done, result.reason)
