"""Promoters that compete or die, and a shadow beside the release in service, on a real cluster and under load."""

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

from components.shared.published_releases import MANIFEST, fetch_release, publish
from components.shared.rollout.placement import RELEASE, SHADOW
from product_classifier.releases.release import write_release
from tests.e2e import cluster
from tests.e2e.asking import asking, mixed
from tests.e2e.cluster import MODELS, NAMESPACE, STORE, Object, Product, forwarded, get, is_ready, pods, until

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
    """The product by a way of its own: tests before these restart the gateway, and with it goes the way they share."""
    with cluster.product() as product:
        yield product


@pytest.fixture(scope="module")
def others(product: Product) -> Iterator[tuple[str, str]]:
    """Two sound releases that are not in service: what serves, published again under other names."""
    champion = product.current
    names = tuple(_again(product) for _ in range(2))
    yield names[0], names[1]
    product.rollout.switch(champion)
    for name in names:
        for key in [f"models/{name}/{MANIFEST}", *product.store.list(f"models/{name}/")]:
            product.store.delete(key)


def _again(product: Product) -> str:
    """Publish the release in service under another name."""
    time.sleep(1)  # the name is that of a second
    with tempfile.TemporaryDirectory() as folder:
        now = fetch_release(product.store, product.current, Path(folder))
        bundles = (now.path / kind for kind in ("text", "image", "fusion"))
        written = write_release(Path(folder) / "again", *bundles, now.meta)
        publish(product.store, written)
    return written.id


@contextmanager
def promoter(release: str) -> Iterator["subprocess.Popen[str]"]:
    """Put a release into service in a process of its own."""
    command = [sys.executable, "-c", PROMOTER, release]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()


def told(name: str) -> str:
    """Return the release an InferenceService is told to serve."""
    annotations = get("inferenceservice", name)["spec"]["predictor"].get("annotations", {})
    return str(annotations.get(RELEASE, ""))


def served() -> set[str]:
    """Return the releases that running pods of the three models are told to serve."""
    running = [pod for name in MODELS for pod in pods(name) if pod["status"]["phase"] == "Running"]
    return {pod["metadata"]["annotations"][RELEASE] for pod in running}


def is_consistent(release: str) -> bool:
    everything = {*map(told, MODELS), *served()}
    return {release} == everything and all(is_ready(get("inferenceservice", name)) for name in MODELS)


def test_a_shadow_is_asked_about_every_product_and_answers_none(product: Product, others: tuple[str, str]) -> None:
    champion, challenger = product.current, others[0]
    product.rollout.start_challenger(challenger, shadow=True)
    try:
        with asking(product) as asked:
            until(lambda: len(asked.answers) > 50, 120)
        compared = [one for pod in pods("fusion-transformer") for one in compared_by(pod, challenger)]
    finally:
        product.rollout.stop_challenger()

    assert ({champion}, [], []) == (set(asked.releases), asked.failures, mixed(product, asked))
    assert {"same"} == {category for category, rows in compared if rows}
    assert SHADOW not in get("inferenceservice", "fusion-transformer")["spec"]["predictor"]["annotations"]


def test_two_promoters_at_once_take_turns_and_no_answer_fails_or_mixes_releases(
    product: Product, others: tuple[str, str]
) -> None:
    before = product.current
    with asking(product) as asked, promoter(others[0]) as one, promoter(others[1]) as other:
        said = [process.communicate(timeout=2 * ROLLED_OUT_S)[1] for process in (one, other)]

    assert [0, 0] == [one.returncode, other.returncode], said
    assert product.current in others
    assert is_consistent(product.current)
    assert [] == asked.failures
    assert [] == mixed(product, asked)
    assert set(asked.releases) <= {before, *others}


def test_a_promoter_killed_between_its_phases_leaves_what_served_and_the_next_one_brings_its_own_release(
    product: Product, others: tuple[str, str]
) -> None:
    before = product.current
    (after,) = set(others) - {before}
    with asking(product) as asked:
        with promoter(after) as dying:
            until(lambda: after == told("text-predictor") == told("image-predictor"), 60, "the first phase")
            dying.send_signal(signal.SIGKILL)
        half_done = (told("fusion-transformer"), told("text-predictor"))
        answered = len(asked.answers)
        until(lambda: len(asked.answers) > answered + 40, 120)
        during = {answer["release"] for _, answer in asked.answers[answered:]}
        with promoter(after) as again:
            said = again.communicate(timeout=ROLLED_OUT_S)[1]

    assert ((before, after), {before}) == (half_done, during)
    assert 0 == again.returncode, said
    assert is_consistent(after)
    assert [] == asked.failures
    assert [] == mixed(product, asked)


def compared_by(pod: Object, release: str) -> Iterator[tuple[str, float]]:
    """Yield whether a fusion pod's shadow named the same category, and of how many products."""
    with forwarded(f"pod/{pod['metadata']['name']}", 8080) as address:
        text = httpx.get(f"http://{address}/metrics", timeout=30).raise_for_status().text
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "fusion_shadow_rows_total" and sample.labels["release"] == release:
                yield sample.labels["category"], sample.value
