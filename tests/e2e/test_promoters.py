"""Tests of concurrent and killed promotions, and of a shadow, on a real cluster under load."""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from components.shared.published_releases import fetch_release, publish
from components.shared.rollout.placement import RELEASE, SHADOW
from product_classifier.model_names import MODELS
from product_classifier.releases.release import write_release
from tests.e2e import cluster
from tests.e2e.cluster import NAMESPACE, STORE, Object, Product, forwarded, get, is_ready, kubectl, pods, until
from tests.e2e.request_loop import inconsistent, request_loop

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
ROLLED_OUT_S = 300
PROMOTER = f"""
import sys
from components.shared.kubernetes_api import ClusterApi
from components.shared.rollout.kserve_rollout import KServeRollout
KServeRollout(ClusterApi("{NAMESPACE}"), "{STORE}/models").switch(sys.argv[1])
"""


@pytest.fixture(scope="module")
def product() -> Iterator[Product]:
    """The product with a new port forward: earlier tests restart the gateway, which ends the shared one."""
    with cluster.product() as product:
        yield product


@pytest.fixture(scope="module")
def others(product: Product) -> Iterator[tuple[str, str]]:
    """Two valid releases that are not served: copies of the champion with other ids."""
    champion = product.current
    names = tuple(_copy(product) for _ in range(2))
    yield names[0], names[1]
    product.rollout.switch(champion)
    for name in names:
        product.delete(name)
    product.rollout.switch(champion)  # no specification names a deleted release


def _copy(product: Product) -> str:
    """Publish the champion with another id."""
    time.sleep(1)  # an id has a resolution of one second
    with tempfile.TemporaryDirectory() as folder:
        now = fetch_release(product.store, product.current, Path(folder))
        bundles = (now.path / kind for kind in ("text", "image", "fusion"))
        written = write_release(Path(folder) / "again", *bundles, now.meta, now.taxonomy)
        publish(product.store, written)
    return written.id


@contextmanager
def promoter(release: str) -> Iterator["subprocess.Popen[str]"]:
    """Promote a release in a separate process."""
    command = [sys.executable, "-c", PROMOTER, release]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()


def configured(name: str) -> str:
    """Return the release in the annotations of an InferenceService."""
    annotations = get("inferenceservice", name)["spec"]["predictor"].get("annotations", {})
    return str(annotations.get(RELEASE, ""))


def served() -> set[str]:
    """Return the releases in the annotations of running pods of the three models."""
    running = [pod for name in MODELS for pod in pods(name) if pod["status"]["phase"] == "Running"]
    return {pod["metadata"]["annotations"][RELEASE] for pod in running}


def is_consistent(release: str) -> bool:
    everything = {*map(configured, MODELS), *served()}
    return {release} == everything and all(is_ready(get("inferenceservice", name)) for name in MODELS)


def test_a_shadow_gets_every_product_and_no_response_comes_from_it(product: Product, others: tuple[str, str]) -> None:
    champion, challenger = product.current, others[0]
    product.rollout.start_challenger(challenger, shadow=True)
    try:
        with request_loop(product) as log:
            until(lambda: len(log.responses) > 50, 120)
        compared = [one for pod in pods("fusion-transformer") for one in compared_by(pod, challenger)]
    finally:
        product.rollout.stop_challenger()

    assert ({champion}, [], []) == (set(log.releases), log.failures, inconsistent(product, log))
    assert {"same"} == {agreement for agreement, rows in compared if rows}
    assert SHADOW not in get("inferenceservice", "fusion-transformer")["spec"]["predictor"]["annotations"]


def test_concurrent_promotions_are_serialized_and_no_prediction_fails_or_mixes_releases(
    product: Product, others: tuple[str, str]
) -> None:
    before = product.current
    with request_loop(product) as log, promoter(others[0]) as one, promoter(others[1]) as other:
        said = [process.communicate(timeout=2 * ROLLED_OUT_S)[1] for process in (one, other)]

    assert [0, 0] == [one.returncode, other.returncode], said
    assert product.current in others
    assert is_consistent(product.current)
    assert [] == log.failures
    assert [] == inconsistent(product, log)
    assert set(log.releases) <= {before, *others}


def test_after_a_promotion_killed_between_its_phases_the_champion_serves_and_the_next_promotion_succeeds(
    product: Product, others: tuple[str, str]
) -> None:
    before = product.current
    (after,) = set(others) - {before}
    with request_loop(product) as log:
        with promoter(after) as dying:
            until(lambda: after == configured("text-predictor") == configured("image-predictor"), 60, "the first phase")
            dying.send_signal(signal.SIGKILL)
        half_done = (configured("fusion-transformer"), configured("text-predictor"))
        received = len(log.responses)
        until(lambda: len(log.responses) > received + 40, 120)
        during = {response["release"] for _, response in log.responses[received:]}
        with promoter(after) as again:
            said = again.communicate(timeout=ROLLED_OUT_S)[1]

    assert ((before, after), {before}) == (half_done, during)
    assert 0 == again.returncode, said
    assert is_consistent(after)
    assert [] == log.failures
    assert [] == inconsistent(product, log)


def test_pods_start_without_a_deleted_release_and_a_promotion_no_longer_names_it(product: Product) -> None:
    champion = product.current
    product.rollout.start_challenger(deleted := _copy(product), shadow=True)
    product.rollout.stop_challenger()
    product.delete(deleted)
    assert deleted in product.rollout.in_use()
    with request_loop(product) as log:
        victim = pods("text-predictor")[0]["metadata"]["name"]
        kubectl("delete", "pod", victim)
        until(lambda: victim not in {pod["metadata"]["name"] for pod in pods("text-predictor")}, 120)
        until(lambda: sum(map(is_ready, pods("text-predictor"))) == 2, 180, "two ready pods")
        product.rollout.switch(champion)

    assert deleted not in product.rollout.in_use()
    assert is_consistent(champion)
    assert ({champion}, [], []) == (set(log.releases), log.failures, inconsistent(product, log))


def compared_by(pod: Object, release: str) -> Iterator[tuple[str, float]]:
    """Yield the label `agreement` and value of a fusion pod's shadow counters."""
    with forwarded(f"pod/{pod['metadata']['name']}", 8080) as address:
        text = httpx.get(f"http://{address}/metrics", timeout=30).raise_for_status().text
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "product_classifier_shadow_products_total" and sample.labels["release"] == release:
                yield sample.labels["agreement"], sample.value
