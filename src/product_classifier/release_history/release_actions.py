"""Requests to deploy a release, or to route traffic to one beside the champion.

    releases/actions/<id>.json         what was requested
    releases/actions/<id>.result.json  how it ended

Both are written once. The retrain trigger starts a process for each request, which writes the result; an action is
repeatable, so an interrupted one can be started again.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Literal, Protocol

from pydantic import AwareDatetime, Field

from product_classifier.errors import ObjectExists, ObjectNotFound
from product_classifier.feedback.records import Identifier, Record
from product_classifier.release_history.release_records import RELEASE_ID
from product_classifier.retraining.launcher import Execution
from product_classifier.store import ObjectStore

PREFIX = "releases/actions/"
RESULT_SUFFIX = ".result.json"
ActionKind = Literal["promote", "rollback", "canary", "stop_canary"]
WITHOUT_RESULT = "the process ended without a result; its log names the reason"


class ReleaseAction(Record):
    """A requested action."""

    action_id: Identifier
    kind: ActionKind
    release: str = Field(default="", pattern=rf"{RELEASE_ID}|^$")
    """Release to deploy or to route to; empty for `stop_canary`."""
    share: float = Field(default=0.0, ge=0, le=1)
    """Part of the requests of a canary."""
    shadow: bool = False
    """Whether a canary gets copies of requests only."""
    requested_by: str
    created: AwareDatetime

    @property
    def key(self) -> str:
        """Key of the object."""
        return f"{PREFIX}{self.action_id}.json"


class ActionResult(Record):
    """How an action ended."""

    action_id: Identifier
    done: bool
    reason: str
    """What was done, or why it failed."""
    finished: AwareDatetime


class ActionLauncher(Protocol):
    """Starts the process of an action; a `Launcher` of runs is one."""

    def find(self, run_id: str) -> Execution | None:
        """Return the state of the process, None if it was never started."""

    def start(self, run_id: str, snapshot: str) -> None:
        """Start the process unless it was started; the snapshot is empty."""


def request_action(store: ObjectStore, action: ReleaseAction) -> None:
    """Store a request."""
    store.put(action.key, action.to_json(), only_if_absent=True)


def find_action(store: ObjectStore, action_id: str) -> ReleaseAction | None:
    """Return a request, None if there is none of this id."""
    key = f"{PREFIX}{action_id}.json"
    try:
        return ReleaseAction.from_json(store.get(key), key)
    except ObjectNotFound:
        return None


def find_result(store: ObjectStore, action_id: str) -> ActionResult | None:
    """Return the result of an action, None while it has none."""
    key = f"{PREFIX}{action_id}{RESULT_SUFFIX}"
    try:
        return ActionResult.from_json(store.get(key), key)
    except ObjectNotFound:
        return None


def write_result(store: ObjectStore, result: ActionResult) -> None:
    """Store a result unless the action has one."""
    with suppress(ObjectExists):
        store.put(f"{PREFIX}{result.action_id}{RESULT_SUFFIX}", result.to_json(), only_if_absent=True)


def actions(store: ObjectStore) -> Iterator[ReleaseAction]:
    """Yield all requests, newest first."""
    for action_id in sorted(_ids(store)[0], reverse=True):
        action = find_action(store, action_id)
        if action is not None:
            yield action


def pending_actions(store: ObjectStore) -> list[ReleaseAction]:
    """Return the requests without a result, oldest first."""
    requested, finished = _ids(store)
    found = (find_action(store, action_id) for action_id in sorted(requested - finished))
    return [action for action in found if action is not None]


def current_canary(store: ObjectStore, champion: str | None) -> ReleaseAction | None:
    """Return the canary that was started last and neither ended nor replaced by a deployment."""
    for action in actions(store):
        result = find_result(store, action.action_id)
        if result is None or not result.done:
            continue
        return action if action.kind == "canary" and action.release != champion else None
    return None


def reconcile_actions(store: ObjectStore, launcher: ActionLauncher, now: datetime) -> bool:
    """Start the oldest pending action, or record that its process ended; return whether one is pending.

    Raises:
        LauncherUnavailable: If the process cannot be started now.
    """
    for action in pending_actions(store):
        execution = launcher.find(action.action_id)
        if execution is None:
            launcher.start(action.action_id, "")
        elif execution is not Execution.ACTIVE:
            result = ActionResult(action_id=action.action_id, done=False, reason=WITHOUT_RESULT, finished=now)
            write_result(store, result)
            continue
        return True
    return False


def _ids(store: ObjectStore) -> tuple[set[str], set[str]]:
    """Return the ids of all requests and of those with a result."""
    names = [key.removeprefix(PREFIX) for key in store.list(PREFIX)]
    finished = {name.removesuffix(RESULT_SUFFIX) for name in names if name.endswith(RESULT_SUFFIX)}
    return {name.removesuffix(".json") for name in names if not name.endswith(RESULT_SUFFIX)}, finished
