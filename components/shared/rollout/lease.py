"""One promoter at a time: a Lease that its holder renews while it works."""

import os
import socket
import time
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from components.shared.kubernetes_api import LEASE, ClusterApi, ClusterError, Conflict, NotThere
from product_classifier.errors import RolloutFailed

NAME = "promotion"
ENDS_AFTER_S = 30
"""A holder that has not renewed for so long is dead, by the clock of whoever watches it."""


class Turn:
    """Holds the lease of a namespace within a `with` block."""

    def __init__(self, api: ClusterApi, patience_s: float, look_every_s: float) -> None:
        self._api = api
        self._patience_s = patience_s
        self._look_every_s = look_every_s
        self._me = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._renewed = 0.0

    def __enter__(self) -> Self:
        until = time.monotonic() + self._patience_s
        seen, since = None, time.monotonic()
        while (other := self._take(expired=time.monotonic() - since > ENDS_AFTER_S)) is not None:
            if other != seen:
                seen, since = other, time.monotonic()
            if time.monotonic() > until:
                raise RolloutFailed(f"{other[0]} has been promoting in {self._api.namespace} for too long")
            time.sleep(self._look_every_s)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with suppress(ClusterError):  # else it ends by itself
            lease = self._read()
            if lease is not None and _holder(lease)[0] == self._me:
                self._write(lease, holder="")

    def renew(self) -> None:
        """Keep the lease; `RolloutFailed` when somebody else has taken it."""
        if time.monotonic() - self._renewed < ENDS_AFTER_S / 5:
            return
        if (other := self._take(expired=False)) is not None:
            raise RolloutFailed(f"{other[0]} has taken over promoting in {self._api.namespace}")

    def _take(self, *, expired: bool) -> tuple[str, str] | None:
        """Take or keep the lease; return who has it, and since when, if that is somebody else."""
        lease = self._read()
        holder = _holder(lease) if lease is not None else ("", "")
        if holder[0] not in {"", self._me} and not expired:
            return holder
        try:
            self._write(lease, holder=self._me)
        except Conflict:
            return ("somebody", "just now")
        self._renewed = time.monotonic()
        return None

    def _read(self) -> dict[str, Any] | None:
        try:
            return self._api.get(LEASE, NAME)
        except NotThere:
            return None

    def _write(self, lease: dict[str, Any] | None, *, holder: str) -> None:
        """Write the lease; `Conflict` when it is not as it was read."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": holder, "leaseDurationSeconds": ENDS_AFTER_S, "renewTime": now}
        if lease is None:
            about = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": NAME}}
            self._api.create(LEASE, {**about, "spec": spec})
        else:
            self._api.replace(LEASE, NAME, {**lease, "spec": spec})


def _holder(lease: dict[str, Any]) -> tuple[str, str]:
    spec = lease.get("spec") or {}
    return str(spec.get("holderIdentity") or ""), str(spec.get("renewTime") or "")
