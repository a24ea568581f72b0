"""The interface to the pipeline runner."""

from enum import StrEnum
from typing import Protocol


class Execution(StrEnum):
    """State of the pipeline execution of a run."""

    ACTIVE = "active"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Launcher(Protocol):
    """Starts pipeline executions.

    Any method raises `LauncherUnavailable` if the outcome of the call is unknown.
    """

    def find(self, run_id: str) -> Execution | None:
        """Return the state of the execution of a run, or None if there is none.

        If several executions have the run id, the state is that of the owner, else that of an active one.
        """

    def start(self, run_id: str, snapshot: str) -> None:
        """Start an execution.

        Raises:
            LaunchRefused: If retrying cannot succeed.
            LauncherUnavailable: If the execution may have been started; call `find` before starting it again.
        """

    def pending_reason(self, run_id: str) -> str:
        """Return why an active execution does not start; "" if it does, or if no reason is known.

        Never raises: the reason is additional information.
        """

    def stop(self, run_id: str) -> None:
        """Stop the execution of a run."""
