"""Checkpoints of a training in the object store, from which it continues in another process or pod.

    checkpoints/<id>/<steps>/<part>       the file of torch.save, in parts
    checkpoints/<id>/latest.json          the commit marker: written last, read first

The id is that of the training's inputs. Parts without a marker are left by a process that was killed; the next
checkpoint, or the end of the training, deletes them.
"""

import hashlib
import json
import os
import secrets
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from product_classifier.errors import ObjectNotFound
from product_classifier.observability import get_logger
from product_classifier.store import ObjectStore, open_store

PREFIX = "checkpoints/"
_PART_BYTES = 64 * 2**20
_INTERVAL_S = 60.0
_INTERVALS_PER_SAVE = 20
"""A save that takes long is done as rarely as keeps it below a twentieth of the time."""
_KEPT_S = 7 * 86_400
"""Age at which a checkpoint that no training continued is deleted."""


class NoCheckpoints:
    """Saves nothing, for a training of which no object store is known."""

    def is_due(self) -> bool:
        return False

    def save(self, state: dict[str, Any]) -> None:
        """Do nothing."""

    def load(self) -> dict[str, Any] | None:
        return None

    def delete(self) -> None:
        """Do nothing."""


class Checkpoints:
    """The checkpoints of one training. Not thread-safe."""

    def __init__(self, store: ObjectStore, identity: str, interval_s: float = _INTERVAL_S) -> None:
        self._store, self._folder = store, f"{PREFIX}{identity}/"
        self._interval_s, self._due_s = interval_s, time.monotonic() + interval_s

    def is_due(self) -> bool:
        """Return whether the interval since the last checkpoint is over."""
        return time.monotonic() >= self._due_s

    def save(self, state: dict[str, Any]) -> None:
        """Write a checkpoint of tensors, numbers and texts, then delete the one before.

        Raises:
            StoreUnavailable: If the store does not answer.
        """
        started_s = time.monotonic()
        name = f"{state['position']['step']:010d}-{secrets.token_hex(4)}"
        parts: list[dict[str, str]] = []
        with tempfile.TemporaryFile() as file:
            torch.save(state, file)
            file.seek(0)
            while part := file.read(_PART_BYTES):
                key = f"{self._folder}{name}/{len(parts):05d}"
                self._store.put(key, part)
                parts.append({"key": key, "sha256": hashlib.sha256(part).hexdigest()})
        self._store.put(f"{self._folder}latest.json", json.dumps({"saved": time.time(), "parts": parts}).encode())
        self._delete_all_but({one["key"] for one in parts})
        spent_s = time.monotonic() - started_s
        self._due_s = time.monotonic() + max(self._interval_s, _INTERVALS_PER_SAVE * spent_s * bool(self._interval_s))

    def load(self) -> dict[str, Any] | None:
        """Return the last checkpoint; None if there is none, or if it is damaged, which is logged."""
        try:
            marker = json.loads(self._store.get(f"{self._folder}latest.json"))
        except ObjectNotFound:
            return None
        with tempfile.TemporaryFile() as file:
            for one in marker["parts"]:
                try:
                    part = self._store.get(one["key"])
                except ObjectNotFound:
                    part = b""
                if hashlib.sha256(part).hexdigest() != one["sha256"]:
                    get_logger().warning("checkpoint_damaged", key=one["key"])
                    return None
                file.write(part)
            file.seek(0)
            found: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        return found

    def delete(self) -> None:
        """Delete the checkpoints of this training, once its model is written."""
        self._store.delete(f"{self._folder}latest.json")
        self._delete_all_but(set())

    def _delete_all_but(self, kept: set[str]) -> None:
        marker = f"{self._folder}latest.json" if kept else ""
        for key in list(self._store.list(self._folder)):
            if key not in kept and key != marker:
                self._store.delete(key)


def open_checkpoints(url: str, values: object, files: Sequence[Path]) -> Checkpoints | NoCheckpoints:
    """Return the checkpoints of a training in the store `url`, and delete abandoned ones of others.

    Args:
        url: URL of an object store; empty for none.
        values: What the training depends on besides the files; its text is part of the id.
        files: Input files, whose content is part of the id.
    """
    if not url:
        return NoCheckpoints()
    digest = hashlib.sha256(f"{values!r} in {os.environ.get('WORLD_SIZE', '1')} processes".encode())
    for path in files:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    store = open_store(url)
    delete_abandoned(store, time.time())
    return Checkpoints(store, digest.hexdigest()[:32])


def delete_abandoned(store: ObjectStore, now_s: float) -> None:
    """Delete checkpoints that are older than a week at `now_s`, in seconds since 1970."""
    for key in [key for key in store.list(PREFIX) if key.endswith("/latest.json")]:
        try:
            saved_s = json.loads(store.get(key))["saved"]
        except ObjectNotFound:
            continue
        if now_s - saved_s > _KEPT_S:
            for one in list(store.list(key.removesuffix("latest.json"))):
                store.delete(one)
