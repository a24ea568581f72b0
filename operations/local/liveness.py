"""Detect services that run but do not respond."""

import http.client
import threading
import time
from collections.abc import Iterable
from enum import Enum

from operations.local.service_table import HOST, Service

PERIOD_S = 1.0
DEADLINE_S = 3.0
MISSES = 4
"""Consecutive requests without a response after which a service counts as hung."""
REFUSALS = 120
"""Consecutive refused connections, one per period, after which a process that should listen counts as hung."""
SUSPENDED_S = 2.0
"""Delay of this process itself from which a missing response proves nothing: the machine was suspended or is busy."""


class Outcome(Enum):
    """Result of one request."""

    RESPONDED = "responded"
    REFUSED = "refused"
    """Nothing listens on the port: the process is starting or stopping."""
    MISSED = "missed"


class LivenessMonitor:
    """Sends a request to every service once per period, each in a thread; `is_hung` returns the result."""

    def __init__(self, services: Iterable[Service]) -> None:
        self._probes = {service.name: _Probe(service) for service in services if service.health}

    def start(self) -> None:
        """Start the threads, which end with the process."""
        for probe in self._probes.values():
            threading.Thread(target=probe.run, name=f"liveness-{probe.name}", daemon=True).start()

    def process_started(self, service: str) -> None:
        """Forget what was observed of the previous process of a service."""
        if probe := self._probes.get(service):
            probe.reset()

    def record(self, service: str, outcome: Outcome, took_s: float) -> None:
        """Count one request; `took_s` is the time of the request and of the pause after it."""
        self._probes[service].record(outcome, took_s)

    def is_hung(self, service: str) -> bool:
        """Whether the process of a service did not respond `MISSES` times, or does not listen."""
        probe = self._probes.get(service)
        return probe is not None and probe.is_hung


class _Probe:
    """The requests to one service."""

    def __init__(self, service: Service) -> None:
        self.name = service.name
        self._service = service
        self.reset()

    def reset(self) -> None:
        self._misses = self._refusals = 0

    @property
    def is_hung(self) -> bool:
        return self._misses >= MISSES or self._refusals >= REFUSALS

    def run(self) -> None:
        while True:
            start_s = time.monotonic()
            outcome = send_request(self._service, DEADLINE_S)
            time.sleep(PERIOD_S)
            self.record(outcome, time.monotonic() - start_s)

    def record(self, outcome: Outcome, took_s: float) -> None:
        if outcome is Outcome.RESPONDED or took_s > DEADLINE_S + PERIOD_S + SUSPENDED_S:
            self.reset()
        elif outcome is Outcome.MISSED:
            self._misses += 1
        else:
            self._misses = 0
            self._refusals += 1


def send_request(service: Service, deadline_s: float) -> Outcome:
    """Request the health of a service and return what its process did.

    A refusal under load is a response too, except where a status is required.
    """
    if service.health is None:
        return Outcome.RESPONDED
    connection = http.client.HTTPConnection(HOST, service.ports["http"], timeout=deadline_s)
    try:
        connection.request("GET", service.health.path)
        status = connection.getresponse().status
    except TimeoutError:
        return Outcome.MISSED
    except ConnectionRefusedError:
        return Outcome.REFUSED
    except (OSError, http.client.HTTPException):
        return Outcome.RESPONDED  # the process closed the connection
    finally:
        connection.close()
    return Outcome.MISSED if service.health.must_succeed and status >= 500 else Outcome.RESPONDED
