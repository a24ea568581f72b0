"""Which releases are deleted, and which never are."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from components.shared.kubernetes_api import ClusterApi
from components.shared.rollout import history
from components.shared.rollout.history import Promotion
from components.shared.rollout.kserve_rollout import PREDICTORS, KServeRollout
from components.shared.rollout.placement import Placement
from components.shared.rollout.retention import prune
from product_classifier.errors import InvalidInput, ObjectNotFound, RolloutFailed, StoreUnavailable
from tests.support.fake_kubernetes import FakeKubernetes, fake_kubernetes
from tests.support.fakes import FakeStore

A, B, C, D, E = (f"r-2030010{day}T000000-0000000{day}" for day in range(1, 6))
NOW = datetime(2030, 2, 1, tzinfo=UTC)


@dataclass
class FakeRollout:
    """A deployment that holds the releases it was switched to."""

    holds: tuple[str, ...] = ()
    exclusive_now: bool = False

    def current(self) -> str | None:
        return self.holds[0] if self.holds else None

    def switch(self, release_id: str) -> None:
        self.holds = (release_id, *self.holds)

    def in_use(self) -> frozenset[str]:
        assert self.exclusive_now
        return frozenset(self.holds)

    @contextmanager
    def exclusive(self) -> Iterator[Callable[[], object]]:
        self.exclusive_now = True
        yield lambda: None
        self.exclusive_now = False


def published(*releases: str) -> FakeStore:
    store = FakeStore()
    for release in releases:
        for name in ("release.json", "text/bundle.json", "image/bundle.json"):
            store.put(f"models/{release}/{name}", b"{}")
    return store


def ended(store: FakeStore, release: str, champion: str | None, *, promoted: bool = True) -> None:
    promotion = Promotion(
        release=release, champion=champion, promoted=promoted, reasons=("better",), metrics={}, decided=NOW
    )
    history.record(store, promotion, b"")


def rolled_back(store: FakeStore, number: int, before: str, after: str) -> None:
    store.put(f"reports/rollbacks/2030011{number}T000000.json", json.dumps({"from": before, "to": after}).encode())


def releases(store: FakeStore) -> list[str]:
    return sorted({key.split("/")[1] for key in store.list("models/")})


@pytest.mark.parametrize(
    ("holds", "named", "keep", "stays"),
    [
        pytest.param((), set(), 2, [D, E], id="the newest"),
        pytest.param((B,), set(), 1, [A, B, E], id="champion, and the one before"),
        pytest.param((C, A), set(), 0, [A, C], id="held by servers: before a switch, a canary, a shadow"),
        pytest.param((E,), {C}, 0, [C, E], id="named in MLflow"),
        pytest.param((E,), set(), 9, [A, B, C, D, E], id="fewer than may stay"),
        pytest.param((), set(), 0, [], id="nothing that anybody needs"),
    ],
)
def test_needed_releases_are_kept(holds: tuple[str, ...], named: set[str], keep: int, stays: list[str]) -> None:
    store = published(A, B, C, D, E)
    ended(store, B, A)

    gone = prune(store, FakeRollout(holds), named, keep, NOW)

    assert (stays, sorted({A, B, C, D, E} - set(stays))) == (releases(store), gone)


def test_both_releases_of_the_last_rollback_stay() -> None:
    store = published(A, B, C, D, E)
    rolled_back(store, 1, D, A)
    rolled_back(store, 2, C, B)

    prune(store, FakeRollout((B,)), set(), 0, NOW)

    assert [B, C] == releases(store)


@pytest.mark.parametrize("content", [b"{", b"{}", b"[]"])
def test_nothing_is_deleted_if_the_last_rollback_is_unreadable(content: bytes) -> None:
    store = published(A, E)
    store.put("reports/rollbacks/20300111T000000.json", content)

    with pytest.raises(InvalidInput, match=r"20300111T000000\.json': is no record of a rollback"):
        prune(store, FakeRollout((E,)), set(), 0, NOW)

    assert [A, E] == releases(store)


@pytest.mark.parametrize(
    ("age_h", "decided", "stays"),
    [
        pytest.param(1, False, True, id="just made"),
        pytest.param(1, True, False, id="just refused"),
        pytest.param(30, False, False, id="its run is long over"),
    ],
)
def test_a_release_whose_promotion_has_not_ended_is_kept(age_h: int, decided: bool, stays: bool) -> None:
    store = published(E)
    if decided:
        ended(store, E, None, promoted=False)
    now = datetime(2030, 1, 5, age_h % 24, tzinfo=UTC).replace(day=5 + age_h // 24)

    prune(store, FakeRollout(), set(), 0, now)

    assert ([E] if stays else []) == releases(store)


def test_files_of_an_interrupted_publication_are_deleted_once_its_run_is_over() -> None:
    store = published(B)
    store.put(f"models/{A}/text/bundle.json", b"{}")
    store.put("models/somebody-elses/model.bin", b"")

    before = prune(store, FakeRollout((B,)), set(), 0, datetime(2030, 1, 1, 12, tzinfo=UTC))
    after = prune(store, FakeRollout((B,)), set(), 0, NOW)

    assert ([], [A], [B, "somebody-elses"]) == (before, after, releases(store))


def test_a_prune_that_was_cut_short_leaves_no_release_that_looks_whole_and_the_next_one_ends_it() -> None:
    class Dying(FakeStore):
        def delete(self, key: str) -> None:
            if "image/" in key:
                raise StoreUnavailable("away")
            super().delete(key)

    store = Dying()
    store.objects = published(A, E).objects
    with pytest.raises(StoreUnavailable):
        prune(store, FakeRollout((E,)), set(), 0, NOW)
    assert not store.exists(f"models/{A}/release.json")

    survivor = FakeStore()
    survivor.objects = store.objects
    assert [A] == prune(survivor, FakeRollout((E,)), set(), 0, NOW)
    assert [E] == releases(survivor)


@pytest.fixture
def cluster() -> Iterator[FakeKubernetes]:
    with fake_kubernetes() as cluster:
        cluster.add_services()
        yield cluster


def rollout(cluster: FakeKubernetes, store: FakeStore) -> KServeRollout:
    def is_published(release: str) -> bool:
        return store.exists(f"models/{release}/release.json")

    api = ClusterApi("shop", cluster.client())
    return KServeRollout(api, "s3://shop/models", is_published=is_published, deadline_s=5.0, poll_interval_s=0.02)


def test_releases_that_pods_may_download_are_kept(cluster: FakeKubernetes) -> None:
    store = published(A, B, C, D, E)
    promoter = rollout(cluster, store)
    promoter.switch(A)
    promoter.switch(B)
    promoter.start_challenger(D, shadow=True)
    half = promoter._services
    for name in PREDICTORS:  # a promoter that died between its phases
        half.place(name, Placement(C, (C, B)), instead_of=half.placement(name))

    gone = prune(store, promoter, set(), 0, NOW)

    assert ([A, E], [B, C, D]) == (gone, releases(store))


def test_a_switch_to_a_deleted_release_changes_nothing(cluster: FakeKubernetes) -> None:
    store = published(A, B)
    promoter = rollout(cluster, store)
    promoter.switch(A)
    prune(store, promoter, set(), 0, NOW)
    before = {name: cluster.placement(name) for name in PREDICTORS}

    for move in (promoter.switch, promoter.start_challenger):
        with pytest.raises(ObjectNotFound, match=f"{B}': was never published or has been deleted"):
            move(B)

    assert before == {name: cluster.placement(name) for name in PREDICTORS}
    assert A == promoter.current()


def test_nothing_is_deleted_during_a_promotion(cluster: FakeKubernetes, monkeypatch: pytest.MonkeyPatch) -> None:
    store = published(A, B)
    promoter, other = rollout(cluster, store), rollout(cluster, store)
    promoter.switch(A)
    with other.exclusive():
        monkeypatch.setattr(promoter, "_deadline_s", 0.1)
        with pytest.raises(RolloutFailed, match=r"lease 'promotion' in shop: held by .* for too long"):
            prune(store, promoter, set(), 0, NOW)
        seen = releases(store)

    assert [A, B] == seen
