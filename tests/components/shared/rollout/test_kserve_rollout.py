"""Releases that go into service on a cluster, against an API with behaviour."""

import threading
from collections.abc import Iterator

import pytest
from tenacity import stop_after_attempt

from components.shared.kubernetes_api import ClusterApi, Refused, Unreachable
from components.shared.rollout import lease
from components.shared.rollout.inference_services import KINDS
from components.shared.rollout.kserve_rollout import FUSION, PREDICTORS, KServeRollout
from components.shared.rollout.placement import CANARY, SHADOW, SHARE, Placement
from components.shared.rollout.rollout import open_rollout
from product_classifier.errors import RolloutFailed
from tests.support.fake_kubernetes import FakeKubernetes, fake_kubernetes, wait_until
from tests.support.fakes import FakeStore

FIRST, SECOND, THIRD = (f"r-2026010{day}T000000-0000000{day}" for day in (1, 2, 3))
MODELS = "s3://product-classifier/models"


@pytest.fixture
def cluster() -> Iterator[FakeKubernetes]:
    with fake_kubernetes() as cluster:
        cluster.add_services()
        yield cluster


def rollout(cluster: FakeKubernetes, deadline_s: float = 5.0) -> KServeRollout:
    return KServeRollout(ClusterApi("shop", cluster.client()), MODELS, deadline_s=deadline_s, poll_interval_s=0.02)


def placements(cluster: FakeKubernetes) -> dict[str, Placement]:
    return {name: cluster.placement(name) for name in KINDS}


def serving(cluster: FakeKubernetes) -> set[str]:
    return set.union(*(cluster.serving(name) for name in KINDS))


def test_the_first_release_goes_into_service_where_there_was_none(cluster: FakeKubernetes) -> None:
    before = rollout(cluster).current()

    rollout(cluster).switch(FIRST)

    assert (None, FIRST) == (before, rollout(cluster).current())
    assert {FIRST} == serving(cluster)
    uri = {"uri": f"{MODELS}/{FIRST}/image", "mountPath": f"/mnt/models/{FIRST.lower()}"}
    assert [uri] == cluster.uris("image-predictor")


def test_a_namespace_without_services_has_no_release_in_service() -> None:
    with fake_kubernetes() as empty:
        assert rollout(empty).current() is None


def test_predictors_always_hold_the_release_of_every_fusion_pod(cluster: FakeKubernetes) -> None:
    promoter = rollout(cluster)
    for release in (FIRST, SECOND, THIRD, SECOND):
        promoter.switch(release)
        assert {release} == serving(cluster)

    assert [] == cluster.mixed
    assert {name: Placement(SECOND, (SECOND, THIRD)) for name in KINDS} == placements(cluster)


def test_a_release_already_in_service_is_left_as_it_is(cluster: FakeKubernetes) -> None:
    rollout(cluster).switch(FIRST)
    rollout(cluster).switch(SECOND)
    before, pods = placements(cluster), set(cluster.pods)

    rollout(cluster).switch(SECOND)

    assert (before, pods) == (placements(cluster), set(cluster.pods))


@pytest.mark.parametrize("release", [SECOND, THIRD], ids=["the deployed release", "another release"])
def test_a_promotion_no_longer_names_releases_that_were_deleted(cluster: FakeKubernetes, release: str) -> None:
    rollout(cluster).switch(FIRST)
    rollout(cluster).switch(SECOND)
    promoter = KServeRollout(
        ClusterApi("shop", cluster.client()),
        MODELS,
        is_published=lambda one: one != FIRST,
        deadline_s=5.0,
        poll_interval_s=0.02,
    )

    promoter.switch(release)

    held = tuple(dict.fromkeys([release, SECOND]))
    assert {name: Placement(release, held) for name in KINDS} == placements(cluster)
    assert [f"{MODELS}/{one}/text" for one in held] == [uri["uri"] for uri in cluster.uris("text-predictor")]
    assert ({release}, []) == (serving(cluster), cluster.mixed)


def test_the_release_in_service_is_the_first_that_a_pod_downloads() -> None:
    fields = Placement(SECOND, (FIRST, SECOND, THIRD)).fields(MODELS, "text")

    assert [SECOND, FIRST, THIRD] == [one["uri"].split("/")[-2] for one in fields["storageUris"]]


@pytest.mark.parametrize(
    ("refused", "stuck", "reason"),
    [
        pytest.param({SECOND}, set(), "kserve-container refuses the release: weights.npz: sha256 is wrong", id="bad"),
        pytest.param(set(), {SECOND}, "ImagePullBackOff no such image after 1 s", id="does not come up"),
    ],
)
def test_a_release_that_does_not_start_leaves_the_old_one_deployed(
    cluster: FakeKubernetes, refused: set[str], stuck: set[str], reason: str
) -> None:
    rollout(cluster).switch(FIRST)
    before = placements(cluster)
    cluster.refused, cluster.stuck = refused, stuck

    with pytest.raises(RolloutFailed) as failure:
        rollout(cluster, deadline_s=1.0).switch(SECOND)

    assert f"{SECOND}: is not deployed: " in str(failure.value)
    assert reason in str(failure.value)
    assert (before, {FIRST}, []) == (placements(cluster), serving(cluster), cluster.mixed)


def test_the_first_release_of_all_that_is_refused_leaves_servers_that_wait(cluster: FakeKubernetes) -> None:
    cluster.refused = {FIRST}

    with pytest.raises(RolloutFailed, match="refuses the release"):
        rollout(cluster).switch(FIRST)

    assert {name: Placement() for name in KINDS} == placements(cluster)
    assert [] == cluster.uris(FUSION)


def test_a_stale_ready_condition_does_not_end_the_rollout(cluster: FakeKubernetes) -> None:
    rollout(cluster).switch(FIRST)
    cluster.sleeping = True

    with pytest.raises(RolloutFailed, match="text-predictor: KServe has not applied the change"):
        rollout(cluster, deadline_s=0.3).switch(SECOND)


def test_an_api_server_that_restarts_is_waited_for(cluster: FakeKubernetes) -> None:
    rollout(cluster).switch(FIRST)
    cluster.away = 3

    rollout(cluster).switch(SECOND)

    assert {SECOND} == serving(cluster)


def test_a_missing_permission_fails_at_once(cluster: FakeKubernetes) -> None:
    cluster.forbidden = {"leases"}

    with pytest.raises(Refused, match=r"leases/promotion in shop: .* 403 Forbidden: leases is forbidden"):
        rollout(cluster).switch(FIRST)


def test_two_promoters_at_once_take_turns(cluster: FakeKubernetes) -> None:
    rollout(cluster).switch(FIRST)
    threads = [threading.Thread(target=rollout(cluster).switch, args=(release,)) for release in (SECOND, THIRD)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (last,) = serving(cluster)
    assert last in {SECOND, THIRD}
    assert [] == cluster.mixed
    assert {last} == {placement.current for placement in placements(cluster).values()}


def test_an_expired_lease_is_taken_over_and_a_partial_rollout_is_completed(
    cluster: FakeKubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "DURATION_S", 0.3)
    rollout(cluster).switch(FIRST)
    dead = rollout(cluster)
    with dead._lease() as held:
        for name in PREDICTORS:
            dead._services.place(name, Placement(SECOND, (SECOND, FIRST)), instead_of=Placement(FIRST, (FIRST,)))
        monkeypatch.setattr(held, "_identity", "another holder, so that the lease is not released")

    rollout(cluster).switch(THIRD)

    assert ({THIRD}, []) == (serving(cluster), cluster.mixed)


def test_predictors_hold_the_release_of_a_fusion_pod_that_is_behind(
    cluster: FakeKubernetes,
) -> None:
    rollout(cluster).switch(FIRST)
    half = rollout(cluster)
    for name in PREDICTORS:
        half._services.place(name, Placement(SECOND, (SECOND, FIRST)), instead_of=Placement(FIRST, (FIRST,)))
        wait_until(lambda name=name: {SECOND} == cluster.serving(name))
    cluster.stuck = {SECOND}
    half._services.place(FUSION, Placement(SECOND, (SECOND, FIRST)), instead_of=Placement(FIRST, (FIRST,)))

    rollout(cluster).switch(THIRD)

    assert ({THIRD}, []) == (serving(cluster), cluster.mixed)


def test_a_canary_gets_its_share_until_it_is_stopped(cluster: FakeKubernetes) -> None:
    promoter = rollout(cluster)
    promoter.switch(FIRST)

    promoter.start_challenger(SECOND, share=0.1)
    during = cluster.placement(FUSION)
    promoter.stop_challenger()

    assert Placement(FIRST, (FIRST, SECOND), {CANARY: SECOND, SHARE: "0.1"}) == during
    assert Placement(FIRST, (FIRST,)) == cluster.placement(FUSION)
    assert ({FIRST}, []) == (serving(cluster), cluster.mixed)


def test_a_shadow_gets_copies_and_ends_with_the_next_switch(cluster: FakeKubernetes) -> None:
    promoter = rollout(cluster)
    promoter.switch(FIRST)

    promoter.start_challenger(SECOND, shadow=True)
    during = cluster.placement(FUSION)
    promoter.switch(SECOND)

    assert {SHADOW: SECOND} == during.challenger
    assert Placement(SECOND, (SECOND, FIRST)) == cluster.placement(FUSION)


@pytest.mark.parametrize("champion", [None, SECOND], ids=["nothing", "itself"])
def test_a_challenger_needs_a_deployed_release_other_than_itself(cluster: FakeKubernetes, champion: str | None) -> None:
    if champion:
        rollout(cluster).switch(champion)

    with pytest.raises(RolloutFailed, match=f"{SECOND}: cannot challenge {champion or 'nothing'}"):
        rollout(cluster).start_challenger(SECOND, share=0.5)


def test_a_cluster_needs_a_bucket() -> None:
    with pytest.raises(ValueError, match="kserve://shop needs a store that pods can read"):
        open_rollout("kserve://shop", FakeStore())


def test_an_api_server_that_stays_unavailable_fails_the_switch(
    cluster: FakeKubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ClusterApi._call.retry, "stop", stop_after_attempt(2))  # type: ignore[attr-defined]
    cluster.away = 2

    with pytest.raises(Unreachable, match="the Kubernetes API responds 503"):
        rollout(cluster).current()
