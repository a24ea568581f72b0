"""How runs are started, wherever they run."""

from enum import StrEnum
from typing import Protocol


class Execution(StrEnum):
    """How far the launcher's own execution of a run is."""

    ACTIVE = "active"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Launcher(Protocol):
    """Starts a pipeline under a name. Any method may raise `LauncherUnavailable`: then nothing is known."""

    def find(self, run_id: str) -> Execution | None:
        """Return the state of the execution of this name, None when there is none.

        Where several have the name, that of the run's owner counts, or one that is still active.
        """

    def start(self, run_id: str, snapshot: str) -> None:
        """StartLease an execution; `LaunchRefused` when it can never be started.

        After `LauncherUnavailable` it may have been started all the same: look it up before starting again.
        """

    def stop(self, run_id: str) -> None:
        """End an execution that takes too long."""
