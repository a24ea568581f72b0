"""The Lease that lets one promotion of a namespace run at a time; its holder renews it."""

import os
import socket
import time
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from components.shared.kubernetes_api import LEASE, ClusterApi, ClusterError, Conflict, NotFound
from product_classifier.errors import RolloutFailed

NAME = "promotion"
DURATION_S = 30
"""A lease that was not renewed for this time, measured by the observer's clock, has expired."""


class PromotionLease:
    """Hold the lease of a namespace within a `with` block; wait for it while another holder renews it."""

    def __init__(self, api: ClusterApi, timeout_s: float, poll_interval_s: float) -> None:
        self._api = api
        self._timeout_s = timeout_s
        self._poll_interval_s = poll_interval_s
        self._identity = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._renewed = 0.0

    def __enter__(self) -> Self:
        until = time.monotonic() + self._timeout_s
        seen, since = None, time.monotonic()
        while (other := self._acquire(expired=time.monotonic() - since > DURATION_S)) is not None:
            if other != seen:
                seen, since = other, time.monotonic()
            if time.monotonic() > until:
                raise RolloutFailed(
                    f"lease {NAME!r} in {self._api.namespace}: held by {other[0]} for too long; wait for that promotion"
                )
            time.sleep(self._poll_interval_s)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with suppress(ClusterError):  # it expires otherwise
            lease = self._read()
            if lease is not None and _holder(lease)[0] == self._identity:
                self._write(lease, holder="")

    def renew(self) -> None:
        """Renew the lease when it is due; raise `RolloutFailed` if another holder has it."""
        if time.monotonic() - self._renewed < DURATION_S / 5:
            return
        if (other := self._acquire(expired=False)) is not None:
            raise RolloutFailed(
                f"lease {NAME!r} in {self._api.namespace}: taken by {other[0]}; start the promotion again"
            )

    def _acquire(self, *, expired: bool) -> tuple[str, str] | None:
        """Acquire or renew the lease; return another holder and its renewal time if there is one."""
        lease = self._read()
        holder = _holder(lease) if lease is not None else ("", "")
        if holder[0] not in {"", self._identity} and not expired:
            return holder
        try:
            self._write(lease, holder=self._identity)
        except Conflict:
            return ("another promotion", "now")
        self._renewed = time.monotonic()
        return None

    def _read(self) -> dict[str, Any] | None:
        try:
            return self._api.get(LEASE, NAME)
        except NotFound:
            return None

    def _write(self, lease: dict[str, Any] | None, *, holder: str) -> None:
        """Write the lease; raise `Conflict` if it has changed since it was read."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": holder, "leaseDurationSeconds": DURATION_S, "renewTime": now}
        if lease is None:
            identity = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": NAME}}
            self._api.create(LEASE, {**identity, "spec": spec})
        else:
            self._api.replace(LEASE, NAME, {**lease, "spec": spec})


def _holder(lease: dict[str, Any]) -> tuple[str, str]:
    spec = lease.get("spec") or {}
    return str(spec.get("holderIdentity") or ""), str(spec.get("renewTime") or "")
