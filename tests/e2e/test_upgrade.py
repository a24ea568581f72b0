"""No request fails during an upgrade; a service whose pods are killed recovers in seconds.

The load runs in the cluster: a port forward would end with its pod.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from operations.cluster import object_status
from operations.cluster.command_runner import CommandRunner
from tests.e2e import cluster
from tests.e2e.cluster import NAMESPACE, finish_job, get, kubectl, listed, start_job, until
from tests.e2e.request_loop import body

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
SOURCE = (Path(__file__).parent / "pod_load.py").read_text(encoding="utf-8")
RATE = 20
ROLLED_S = 300
SERVES = ("text-predictor", "image-predictor", "fusion-transformer")
STATEFUL = ("feedback-service", "auth-proxy")
BUILD = "product-classifier/build"
"""Annotation of the pods that stands for another build: all of them are replaced."""


@dataclass
class PodLoad:
    """What a load in the cluster has measured."""

    statuses: dict[str, int] = field(default_factory=dict)
    failures: list[tuple[float, str]] = field(default_factory=list)
    """Time of sending and reason of each request without an answer 200."""
    degraded: int = 0
    longest_s: float = 0.0

    def silence_s(self, since: float) -> float:
        """Return the seconds from `since` to the last failed request."""
        return max((sent for sent, _ in self.failures), default=since) - since


@pytest.fixture(scope="module")
def bodies() -> str:
    """Products with words alone and with a small photo, of the release that serves."""
    with cluster.product() as product:
        known = product.model(product.current).known_products
    texts = [one for one in known if not one.photo][:3]
    photos = sorted((one for one in known if one.photo), key=lambda one: len(one.photo))[:5]
    assert texts
    assert photos
    return json.dumps([body(one) for one in [*texts, *photos]])


@contextmanager
def pod_load(bodies: str, seconds: int) -> Iterator[Callable[[], PodLoad]]:
    """Send requests for `seconds`; yield a function that waits for the end and returns the result."""
    name = f"load-{time.time_ns() // 1_000_000}"
    command = ["python", "-c", SOURCE]
    start_job("simulation", name, command=command, BODIES=bodies, SECONDS=str(seconds), RATE=str(RATE))

    def result() -> PodLoad:
        found: dict[str, Any] = json.loads(finish_job(name, seconds + 120).strip().splitlines()[-1])
        found.pop("releases")
        return PodLoad(**found)

    try:
        until(lambda: get("job", name)["status"].get("ready"), 60, "the start of the load")
        until(lambda: "started" in kubectl("logs", f"job/{name}"), 60, "the first request")
        yield result
    finally:
        kubectl("delete", "job", name)


def test_no_request_fails_while_every_pod_is_replaced_by_another_build(bodies: str) -> None:
    build = {"annotations": {BUILD: str(time.time_ns())}}
    with pod_load(bodies, 120) as result:
        before = pods_that_serve()
        for name in SERVES:
            kubectl("patch", "inferenceservice", name, "--type=merge", f"--patch={json.dumps(predictor(build))}")
        for name in STATEFUL:
            kubectl("patch", "statefulset", name, f"--patch={json.dumps({'spec': {'template': {'metadata': build}}})}")
        until(lambda: not before & pods_that_serve(), ROLLED_S, "the end of every earlier pod")
        object_status.wait_until_ready(CommandRunner(lambda _: None), NAMESPACE, ROLLED_S)
        load = result()

    assert ([], {"200": 120 * RATE}, 0) == (load.failures, load.statuses, load.degraded)


@pytest.mark.parametrize(
    "selector",
    ["serving.kserve.io/inferenceservice=fusion-transformer", "app.kubernetes.io/name=auth-proxy"],
    ids=["fusion", "gateway"],
)
def test_both_pods_of_a_service_killed_at_once_are_replaced_in_seconds(bodies: str, selector: str) -> None:
    with pod_load(bodies, 30) as result:
        killed = time.time()
        kubectl("delete", "pod", f"--selector={selector}", "--grace-period=0", "--force")
        load = result()
    object_status.wait_until_ready(CommandRunner(lambda _: None), NAMESPACE, ROLLED_S)

    assert load.silence_s(killed) < RECOVERY_S, load.failures[-3:]


RECOVERY_S = 15.0
"""Seconds until no request fails; 3 to 5 on an idle node with two processors, more on a busy one."""


def predictor(metadata: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"predictor": metadata}}


def pods_that_serve() -> set[str]:
    """Return the ids of the pods of the services that requests pass, and of the feedback service."""
    found = [
        *listed("pods", "--selector=serving.kserve.io/inferenceservice"),
        *(one for name in STATEFUL for one in listed("pods", f"--selector=app.kubernetes.io/name={name}")),
    ]
    return {one["metadata"]["uid"] for one in found}
