"""Carry out an action on releases that was requested over HTTP."""

import io
from datetime import UTC, datetime

from rich.console import Console

from pipelines.release_commands import roll_back_release, start_canary, stop_canary
from pipelines.settings import PipelineSettings
from product_classifier.errors import InvalidInput, ProductClassifierError
from product_classifier.release_history.release_actions import (
    ActionResult,
    ReleaseAction,
    find_action,
    find_result,
    write_result,
)
from product_classifier.store import open_store


def run_release_action(settings: PipelineSettings, action_id: str) -> bool:
    """Carry out an action unless it has a result, and write the result; return whether it is done.

    Raises:
        InvalidInput: If no action has the id.
    """
    store = open_store(settings.store)
    action = find_action(store, action_id)
    if action is None:
        raise InvalidInput(f"{action_id}: no release action has this id")
    result = find_result(store, action_id)
    if result is None:
        done, reason = _carried_out(settings, action)
        finished = datetime.now(UTC)
        result = ActionResult(action_id=action_id, done=done, reason=reason, finished=finished)
        write_result(store, result)
    return result.done


def _carried_out(settings: PipelineSettings, action: ReleaseAction) -> tuple[bool, str]:
    """Return whether the action was carried out, and what was done or why not."""
    try:
        match action.kind:
            case "canary":
                return True, start_canary(settings, action.release, action.share, shadow=action.shadow)
            case "stop_canary":
                return True, stop_canary(settings)
            case _:
                output = io.StringIO()
                roll_back_release(settings, action.release, Console(file=output, width=1000))
                return True, output.getvalue().strip() or f"{action.release} is deployed"
    except (ProductClassifierError, OSError) as error:
        return False, str(error)
