"""Where a release is put into service. On a laptop that is a file which names the release the servers read."""

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from components.shared.published_releases import MANIFEST, fetch_release
from product_classifier.errors import BundleRefused
from product_classifier.releases.release import open_release
from product_classifier.store import ObjectStore

KEPT = 5
"""Releases that stay on disk; the one in service and the one before it are always among them."""


class Rollout(Protocol):
    """The one release in service, and the switch to another. It does not judge: the gate and the smoke test do."""

    def current(self) -> str | None:
        """Return the id of the release in service; None when there is none that could serve."""

    def switch(self, release_id: str) -> None:
        """Put a published release into service; returns when it is rolled out, raises when it cannot be."""

    def in_use(self) -> frozenset[str]:
        """Return the releases that servers may ask the store for at any moment."""

    def alone(self) -> AbstractContextManager[Callable[[], object]]:
        """Let nothing be put into service within the block, which calls what it is given before each thing it does."""


def open_rollout(url: str, store: ObjectStore) -> Rollout:
    """Open `file:///folder`, where releases are kept beside the pointer `champion`, or `kserve://namespace`."""
    parts = urlsplit(url)
    if parts.scheme == "file" and parts.path.startswith("/"):
        return LocalRollout(Path(unquote(parts.path)), store)
    if parts.scheme == "kserve" and parts.netloc and parts.path in {"", "/"}:
        return _on_cluster(parts.netloc, store)
    raise ValueError(f"a rollout is file:///folder or kserve://namespace, not {url[:80]!r}")


class LocalRollout:
    """Releases in one folder, and a pointer that is replaced in one piece."""

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

    def alone(self) -> AbstractContextManager[Callable[[], object]]:
        """Hold nothing up: a switch brings the whole release to its folder before anything moves, or fails."""
        return nullcontext(lambda: None)

    def _prune(self, *in_use: str) -> None:
        """Remove the oldest releases; the store has them all, and a switch to one brings it back."""
        others = sorted(path for path in self._folder.glob("r-*") if path.name not in in_use)
        for old in others[: max(len(others) + len(in_use) - KEPT, 0)]:
            shutil.rmtree(old, ignore_errors=True)


def _on_cluster(namespace: str, store: ObjectStore) -> Rollout:
    from components.shared.rollout.kserve_rollout import open_kserve  # noqa: PLC0415 - only a cluster needs its client
    from product_classifier.store.s3 import S3Store  # noqa: PLC0415

    if not isinstance(store, S3Store):
        raise ValueError(  # noqa: TRY004 - it is the address that is wrong
            f"KServe reads releases from a bucket: kserve://{namespace} needs a store s3://bucket"
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
