"""Deployment of one release: a folder on one machine, or InferenceServices on a cluster."""

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from components.shared.published_releases import fetch_release
from product_classifier.errors import BundleRefused, InvalidSettings
from product_classifier.releases.release import MANIFEST, open_release
from product_classifier.store import ObjectStore
from product_classifier.validation_messages import public_message

KEPT_ON_DISK = 5
"""Number of releases in the folder, always with the deployed one and the one before it."""


class Rollout(Protocol):
    """The deployed release and the switch to another; the gate and the smoke test are elsewhere."""

    def current(self) -> str | None:
        """Return the id of the deployed release; None if there is no valid one."""

    def switch(self, release_id: str) -> None:
        """Deploy a published release; return once it is rolled out, raise if it cannot be."""

    def in_use(self) -> frozenset[str]:
        """Return the releases that servers may download at any time."""

    def exclusive(self) -> AbstractContextManager[Callable[[], object]]:
        """Hold the promotion lock; the block calls the yielded function before each deletion to renew it."""


def open_rollout(url: str, store: ObjectStore) -> Rollout:
    """Open `file:///folder` with releases and a file `champion`, or `kserve://namespace`."""
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.path.startswith("/"):
        return LocalRollout(Path(unquote(parts.path)), store)
    if parts.scheme == "kserve" and parts.netloc and parts.path in {"", "/"}:
        return _on_cluster(parts.netloc, store)
    raise InvalidSettings(f"ROLLOUT_URL: {public_message(url)} is no rollout; use file:///folder or kserve://namespace")


class LocalRollout:
    """Releases in one folder, and a file with the id of the deployed one that is replaced atomically."""

    def __init__(self, folder: Path, store: ObjectStore) -> None:
        self._folder = folder
        self._pointer = folder / "champion"
        self._store = store

    def current(self) -> str | None:
        try:
            name = self._pointer.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        try:
            return open_release(self._folder / name).id
        except BundleRefused:
            return None

    def switch(self, release_id: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        before = self._pointer.read_text(encoding="utf-8").strip() if self._pointer.exists() else ""
        fetch_release(self._store, release_id, self._folder)
        new = self._pointer.with_name(f".champion-{os.getpid()}")
        with new.open("w", encoding="utf-8") as file:
            file.write(release_id + "\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._pointer)
        _sync(self._folder)
        if before != release_id:
            self._prune(release_id, before)

    def in_use(self) -> frozenset[str]:
        return frozenset(filter(None, [self.current()]))

    def exclusive(self) -> AbstractContextManager[Callable[[], object]]:
        """Lock nothing: a switch downloads the whole release before it changes the pointer."""
        return nullcontext(lambda: None)

    def _prune(self, *in_use: str) -> None:
        """Delete the oldest releases; the store has them all."""
        others = sorted(path for path in self._folder.glob("r-*") if path.name not in in_use)
        for old in others[: max(len(others) + len(in_use) - KEPT_ON_DISK, 0)]:
            shutil.rmtree(old, ignore_errors=True)


def _on_cluster(namespace: str, store: ObjectStore) -> Rollout:
    from components.shared.rollout.kserve_rollout import open_kserve  # noqa: PLC0415 - imports the Kubernetes client, which only a cluster needs
    from product_classifier.store.s3 import S3Store  # noqa: PLC0415

    if not isinstance(store, S3Store):
        raise InvalidSettings(
            f"ROLLOUT_URL: kserve://{namespace} needs a store that pods can read; use STORE_URL=s3://bucket"
        )
    return open_kserve(
        namespace, f"s3://{store.bucket}/models", lambda release: store.exists(f"models/{release}/{MANIFEST}")
    )


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
