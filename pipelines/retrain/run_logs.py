"""Logs of runs in processes of this machine; Kubernetes keeps those of pods."""

from pathlib import Path

from product_classifier.retraining.run_records import RUN_LOG_PART_BYTES


class RunLogs:
    """Logs in the folders of `LocalLauncher`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, run_id: str, offset: int) -> bytes | None:
        """Return up to `RUN_LOG_PART_BYTES` of a log from an offset in bytes; None without a log."""
        try:
            with (self._folder / run_id / "log").open("rb") as file:
                file.seek(offset)
                return file.read(RUN_LOG_PART_BYTES)
        except FileNotFoundError:
            return None
