"""Folders that only their owner can read."""

import os
from contextlib import suppress
from pathlib import Path

OWNER_ONLY = 0o700
UMASK = 0o077
STATE_ENTRIES = (
    "accounts.json",
    "feedback-journal",
    "logs",
    "mlflow.db",
    "mlruns",
    "pipeline",
    "prediction-journal",
    "releases",
    "retrain",
    "store",
)
"""Names in a state folder that earlier versions created readable by others."""


def make_private_folder(folder: Path) -> None:
    """Create a folder and its missing parents for their owner only; existing ones stay as they are."""
    missing = [level for level in (folder, *folder.parents) if not level.exists()]
    for level in reversed(missing):
        level.mkdir(mode=OWNER_ONLY, exist_ok=True)
    folder.mkdir(mode=OWNER_ONLY, exist_ok=True)


def protect_state_folder(folder: Path) -> None:
    """Create or restrict a state folder; later files of this process and its children are private."""
    os.umask(UMASK)
    make_private_folder(folder)
    for path in (folder, *(folder / name for name in STATE_ENTRIES)):
        with suppress(FileNotFoundError, PermissionError):  # another owner restricts it
            if path.stat().st_mode & UMASK and not path.is_symlink():
                path.chmod(path.stat().st_mode & OWNER_ONLY)
